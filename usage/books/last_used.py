"""When each secret was last used, brought from the limit store to SQL: to the minute, and some at once.

A time only ever moves forward, and the store forgets what SQL has and nothing else. Run twice, at once, or
killed anywhere and run again, it comes to the same.
"""

import time
from collections import defaultdict
from datetime import datetime

from django.db.models import Q

from accounts.models import KeySecret
from usage.limits import last_uses
from usage.limits.store import LimitStore
from usage.spans import time_of

PORTION = 50  # of each of 64 buckets: read, written and forgotten together
# In one statement. On PostgreSQL a row takes some 15 µs, and is locked for as long as its statement takes.
_ROWS = 1000
LONGEST_RUN = 40.0  # seconds; beat asks again within the minute


def book_last_uses(store: LimitStore) -> int:
    """Write down what waits in the store; gives the number of secrets.

    Raises `redis.RedisError` if the store can't be asked: what was written until then stays.
    """
    stop_at = time.monotonic() + LONGEST_RUN
    now, booked = store.now(), 0
    while (uses := last_uses.waiting(store, PORTION)) and time.monotonic() < stop_at:
        at: dict[datetime, list[int]] = defaultdict(list)
        for secret, seconds in uses.items():
            # A web process whose clock is ahead can't have seen the future.
            at[time_of(min(seconds, now - now % 60))].append(secret)
        for minute, secrets in at.items():
            _write(minute, sorted(secrets))
        last_uses.forget(store, uses)
        booked += len(uses)
    return booked


def _write(minute: datetime, secrets: list[int]) -> None:
    earlier = Q(last_used_at=None) | Q(last_used_at__lt=minute)
    for first in range(0, len(secrets), _ROWS):
        some = KeySecret.objects.filter(pk__in=secrets[first : first + _ROWS])
        some.filter(earlier).update(last_used_at=minute)
