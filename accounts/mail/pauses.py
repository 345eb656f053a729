"""When the mail server is left alone: while another worker talks to it, and for a while after it failed.

Kept in the cache, which every worker shares. It spares the server and the workers, and nothing else depends
on it: without it no email is lost, and none is sent by two at once.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.core.cache import cache

SHORTEST = timedelta(seconds=10)
LONGEST = timedelta(hours=1)

_SENDING = "mail:sending"
_FAILURES = "mail:failures"
_RESTS_UNTIL = "mail:rests-until"
_KEPT_SECONDS = 2 * int(LONGEST.total_seconds())


def pause_after(failures: int) -> timedelta:
    """How long to wait after so many failures in a row: twice as long each time, up to an hour.

    Up to a fifth less by chance, so that what failed together isn't tried together.
    """
    longest = min(LONGEST, SHORTEST * (1 << min(failures - 1, 20)))
    return longest * (1 - secrets.randbelow(1000) / 5000)


@contextmanager
def one_at_a_time(seconds: int) -> Iterator[bool]:
    """Whether nobody else is sending; for so many seconds at most, then a dead worker's turn is over.

    A second worker would gain nothing: a slow mail server would have it wait, too, and jobs wait for it.
    """
    mine = bool(cache.add(_SENDING, 1, timeout=seconds))
    try:
        yield mine
    finally:
        if mine:
            cache.delete(_SENDING)


def is_resting(now: datetime) -> bool:
    until = cache.get(_RESTS_UNTIL)
    return until is not None and now.timestamp() < until


def rest(now: datetime) -> None:
    """The server failed: leave it alone, longer each time."""
    failures = cache.get(_FAILURES, 0) + 1
    cache.set(_FAILURES, failures, timeout=_KEPT_SECONDS)
    cache.set(_RESTS_UNTIL, (now + pause_after(failures)).timestamp(), timeout=_KEPT_SECONDS)


def rest_no_more() -> None:
    """The server works, or a person says so."""
    cache.delete_many([_FAILURES, _RESTS_UNTIL])
