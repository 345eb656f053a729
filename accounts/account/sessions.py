"""Where an account is signed in, and how to end that.

An end is felt by the session's next request: each looks its row up in SQL.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.account.devices import Device, device_of
from accounts.account.last_seen import NEAR_ENOUGH
from accounts.models import User

# A page lists no more. Who has more has a script that signs in anew each time.
MOST_LISTED = 100


@dataclass(frozen=True, slots=True)
class SignIn:
    """A browser that is signed in; `id` names it to its account alone."""

    id: int
    is_this: bool
    device: Device
    address: str
    since: datetime
    last_seen_at: datetime


def sign_ins(user: User, this_session: str | None) -> list[SignIn]:
    """The account's sessions that still work: this one first, then the one that was seen last."""
    rows = {row.session_key: row for row in _newest(user)}
    working = _working(user, list(rows))
    found = [
        SignIn(
            id=row.pk,
            is_this=key == this_session,
            device=device_of(row.user_agent),
            address=row.ip,
            since=row.created_at,
            last_seen_at=row.last_seen_at,
        )
        for key, row in rows.items()
        if key in working
    ]
    return sorted(found, key=lambda each: (not each.is_this, -each.last_seen_at.timestamp()))


def number_of_sign_ins(user: User) -> int:
    return len(_working(user, [row.session_key for row in _newest(user)]))


def end(user: User, id: int) -> bool:
    """End one of the account's sessions; gives whether it has such a one."""
    return bool(_end(UserSession.objects.filter(user=user, pk=id)))


def end_others(user: User, this_session: str) -> int:
    """End all but this one; gives how many those were."""
    return _end(UserSession.objects.filter(user=user).exclude(session_key=this_session))


def end_all(user: User) -> int:
    return _end(UserSession.objects.filter(user=user))


def what_is_over(now: datetime) -> Iterator[QuerySet[Any]]:
    """Sessions that ended by themselves, and where each was signed in; the longest over first.

    Nobody else removes them: a browser that doesn't come back leaves its address behind.
    """
    yield Session.objects.filter(expire_date__lt=now).order_by("expire_date")
    # A request that prolongs a session is noted as well, near enough.
    longest = timedelta(seconds=settings.SESSION_COOKIE_AGE) + NEAR_ENOUGH
    yield UserSession.objects.filter(last_seen_at__lt=now - longest).order_by("last_seen_at")


@transaction.atomic
def _end(rows: QuerySet[UserSession]) -> int:
    keys = list(rows.values_list("session_key", flat=True))
    Session.objects.filter(session_key__in=keys).delete()
    UserSession.objects.filter(session_key__in=keys).delete()
    return len(keys)


def _newest(user: User) -> QuerySet[UserSession]:
    newest: QuerySet[UserSession] = UserSession.objects.filter(user=user).order_by("-last_seen_at", "-pk")
    return newest[:MOST_LISTED]


def _working(user: User, keys: list[str]) -> set[str]:
    """Those that are neither over nor of a password that was changed since, in one query.

    allauth would ask SQL three times for each, and delete rows where a page is only shown.
    """
    password = user.get_session_auth_hash()
    kept = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    working = set()
    for session in kept:
        data = session.get_decoded()
        if data.get(SESSION_KEY) == str(user.pk) and data.get(HASH_SESSION_KEY) == password:
            working.add(session.session_key)
    return working
