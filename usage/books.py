"""The books: what the limit store counted in closed minutes, brought to SQL.

The scripts stamp each count with the store's own minute, so a minute that is over never changes. Its rows are
written as absolute numbers, in one transaction with the bucket's watermark: run twice, or killed anywhere and
run again, it gives the same rows.
"""

from datetime import UTC, datetime

from django.db import transaction

from usage.limits.kinds import Kind
from usage.limits.store import LimitStore
from usage.models import BookedUntil, RateHit
from usage.subjects import BUCKETS

# How far back the first run looks, and any run after the worker stood still (the store keeps a week).
LONGEST_STRETCH = 24 * 60  # minutes
_KINDS = frozenset(Kind)


def book_closed_minutes(store: LimitStore) -> int:
    """Book every bucket up to the last closed minute; gives the number of rows written.

    Raises `redis.RedisError` if the store can't be read: what was booked until then stays.
    """
    last_closed = store.now() // 60 - 1
    watermarks = dict(BookedUntil.objects.values_list("bucket", "minute"))
    return sum(
        _book_bucket(
            store, bucket, max(watermarks.get(bucket, 0), last_closed - LONGEST_STRETCH), last_closed
        )
        for bucket in range(BUCKETS)
        if watermarks.get(bucket, 0) < last_closed
    )


def _book_bucket(store: LimitStore, bucket: int, booked_until: int, last_closed: int) -> int:
    rows = [
        RateHit(subject=subject, minute=minute_start(minute), kind=outcome, route=route, count=count)
        for minute, usage in store.usage_of_bucket(bucket, range(booked_until + 1, last_closed + 1)).items()
        for (subject, route, outcome), count in usage.items()
        if outcome in _KINDS
    ]
    with transaction.atomic():
        RateHit.objects.bulk_create(
            rows,
            batch_size=1000,
            update_conflicts=True,
            unique_fields=["subject", "minute", "kind", "route"],
            update_fields=["count"],
        )
        BookedUntil.objects.update_or_create(bucket=bucket, defaults={"minute": last_closed})
    return len(rows)


def minute_start(minute: int) -> datetime:
    """A Unix minute as the time it starts at."""
    return datetime.fromtimestamp(minute * 60, UTC)
