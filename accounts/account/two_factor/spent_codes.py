"""An authenticator app's code works once, as RFC 6238 demands (section 5.2).

allauth remembers a used code for 30 seconds in the cache, but a code is good for 90: its own period and one
on either side, for clocks that differ. So the newest period whose code was used is kept with the secret, and
no code of that period or an older one is taken again. It is SQL's: an emptied cache gives no code back.
"""

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added
from allauth.mfa.totp.internal.auth import (
    compare_user_code,
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from allauth.mfa.utils import decrypt
from django.dispatch import receiver
from django.http import HttpRequest

_NEWEST = "newest_used_period"  # in the authenticator's data


def period_of(authenticator: Authenticator, code: str) -> int | None:
    """The period (Unix time by 30 s) that `code` belongs to, among those accepted now; `None`: to none."""
    secret = decrypt(authenticator.data["secret"])
    for period in yield_hotp_counters_from_time():
        if compare_user_code(actual=code, expected=format_hotp_value(hotp_value(secret, period))):
            return int(period)
    return None


def is_spent(authenticator: Authenticator, period: int) -> bool:
    return bool(period <= authenticator.data.get(_NEWEST, -1))


def spend(authenticator: Authenticator, period: int) -> None:
    """The caller holds the row's lock."""
    authenticator.data[_NEWEST] = period
    authenticator.save(update_fields=["data"])


@receiver(authenticator_added)
def spend_the_first(request: HttpRequest, authenticator: Authenticator, **_: Any) -> None:
    """The code that set the app up is used, too: who saw it typed can't sign in with it.

    Connected in time: the form that checks that code imports this module.
    """
    if authenticator.type == Authenticator.Type.TOTP:
        period = period_of(authenticator, request.POST.get("code", ""))
        if period is not None:
            spend(authenticator, period)
