"""Owners are told by email of what happens to their keys: made, rotated, about to end."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.dispatch import receiver

from accounts import signals
from accounts.models import ApiKey
from usage.models import Notice
from usage.notices import owe

AHEAD = timedelta(days=7)
_AT_A_TIME = 500


@receiver(signals.key_changed)
def owe_change_notice(key: ApiKey, action: str, facts: Mapping[str, Any], **_: Any) -> None:
    """In the transaction of what was done."""
    if action == signals.CREATED:
        owe(Notice.Kind.KEY_CREATED, key, f"key_created:{key.pk}", {"start": key.start, **facts})
    elif action == signals.ROTATED:
        # A key's secrets follow one another: the newest one's start names the rotation.
        once = f"key_rotated:{key.pk}:{key.start}"
        owe(Notice.Kind.KEY_ROTATED, key, once, {"start": key.start, **facts})


def owe_expiry_notices(now: datetime) -> int:
    """Owe an email for each key that ends within a week: once, and once more if its end was changed.

    Nobody gains by one about a key that can't be used anyway, nor about one that was made for a week or less:
    its owner knows. Gives how many were owed.
    """
    ending = (
        ApiKey.objects.filter(status=ApiKey.Status.ACTIVE, owner__is_active=True)
        .filter(expires_at__gt=now, expires_at__lte=now + AHEAD)
        .filter(expires_at__gt=F("created_at") + AHEAD)
        .order_by("expires_at")
        .values_list("pk", "expires_at")
    )
    due = [(pk, end) for pk, end in ending if end is not None]
    return sum(_owe_of(due[first : first + _AT_A_TIME]) for first in range(0, len(due), _AT_A_TIME))


def _owe_of(ending: Iterable[tuple[int, datetime]]) -> int:
    # Each is among them every hour of a week: asking once for all is cheaper than owing in vain.
    due = {f"key_expiring:{pk}:{end:%Y-%m-%dT%H:%M:%S.%f}": (pk, end) for pk, end in ending}
    for told in Notice.objects.filter(once__in=list(due)).values_list("once", flat=True):
        del due[told]
    keys = ApiKey.objects.select_related("owner").in_bulk([pk for pk, _ in due.values()])
    for once, (pk, end) in due.items():
        if pk in keys:
            facts = {"start": keys[pk].start, "expires_at": end.isoformat()}
            owe(Notice.Kind.KEY_EXPIRING, keys[pk], once, facts)
    return len(due)
