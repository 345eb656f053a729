"""What SQL remembers for the limit store: the ladder, and what a lost bucket held.

A store that comes back empty must free nobody. Its buckets are built from SQL one by one, each before it
admits anyone: places on the ladder, what was charged today as far as it is booked, and which keys changed so
lately that a process may still have an older copy.
"""

import secrets
import threading
import time
from datetime import datetime

import redis
from django.db import close_old_connections, connection
from django.db.models import Sum

from accounts.models import ApiKey, Tier
from usage.escalation.ladder import Ladder
from usage.escalation.policy import read_ladder
from usage.limits import upkeep
from usage.limits.store import LADDER, LimitStore
from usage.limits.upkeep import Remembered
from usage.models import CounterReset, EscalationState, UsageDay
from usage.spans import DAY_SECONDS, time_of
from usage.subjects import BUCKETS, bucket_of, key_subject_id

# Longer than any process keeps a subject (`usage.guard.known_subjects`).
LATELY_SECONDS = 120
PATIENCE = 2.0  # seconds that a request waits for a bucket which another one builds


class SqlMemory:
    """Thread-safe; of the threads that find a bucket empty, one builds it and the others wait."""

    def __init__(self) -> None:
        self._building = [threading.Lock() for _ in range(BUCKETS)]

    def ladder(self) -> Ladder:
        _leave_old_connections()
        return read_ladder()

    def build(self, store: LimitStore, bucket: int) -> None:
        building = self._building[bucket]
        if building.acquire(blocking=False):
            try:
                self._build(store, bucket)
            finally:
                building.release()
        elif building.acquire(timeout=PATIENCE):
            # Somebody else has done it by now, or could not: the caller asks again, and hears.
            building.release()
        else:
            raise redis.TimeoutError(f"another thread is still building bucket {bucket}")

    def _build(self, store: LimitStore, bucket: int) -> None:
        _leave_old_connections()
        revisions = dict(Tier.objects.values_list("slug", "revision"))
        ladder = read_ladder()
        revisions[LADDER] = ladder.revision
        upkeep.build(store, bucket, secrets.token_hex(6), revisions, remembered(bucket, store.now()), ladder)


def _leave_old_connections() -> None:
    """Asked from outside of Django's handling of requests, too, where nobody else does this.

    Within a transaction the connection is in use: Django would take it for a forgotten one and close it.
    """
    if not connection.in_atomic_block:
        close_old_connections()


def remembered(bucket: int, now: int) -> list[Remembered]:
    """What SQL knows of a bucket's subjects at `now` (Unix seconds): four queries."""
    found: dict[str, Remembered] = {}
    for state in EscalationState.objects.filter(bucket=bucket, escalation__gt=0):
        found[state.subject] = Remembered(
            state.subject,
            escalation=state.escalation,
            until=seconds(state.until),
            grace_until=seconds(state.grace_until),
            clean_since=seconds(state.clean_since),
            version=state.version,
            order=state.order,
        )
    changed = ApiKey.objects.filter(revision__gte=(int(time.time()) - LATELY_SECONDS) * 1_000_000)
    for pk, revision in changed.values_list("pk", "revision"):
        subject = key_subject_id(pk)
        if bucket_of(subject) == bucket:
            found[subject] = found.get(subject, Remembered(subject))._replace(key_revision=revision)
    today = time_of(now - now % DAY_SECONDS)
    resets = CounterReset.objects.on(today).filter(bucket=bucket).values("subject")
    forgiven = dict(resets.annotate(sum=Sum("forgiven")).values_list("subject", "sum"))
    charged = UsageDay.objects.filter(bucket=bucket, start=today, admitted__gt=0)
    for subject, admitted in charged.values_list("subject", "admitted"):
        found[subject] = found.get(subject, Remembered(subject))._replace(
            day=now // DAY_SECONDS, day_count=max(0, admitted - forgiven.get(subject, 0))
        )
    return list(found.values())


def seconds(time: datetime | None) -> int:
    """As the limit store counts time; 0 is never."""
    return 0 if time is None else int(time.timestamp())
