"""The worker follows the limit store's changes into SQL, bucket by bucket, each change in its order.

The cursor moves in the transaction that records: killed anywhere and run again, it misses nothing and doubles
nothing.
"""

from django.db import transaction

from usage.escalation.recording import record
from usage.limits.store import LimitStore
from usage.limits.upkeep import Change, Cursor, changes_since
from usage.models import FollowedUntil
from usage.subjects import BUCKETS


def follow_changes(store: LimitStore) -> int:
    """Record what has changed; gives the number of changes read. Raises `redis.RedisError`."""
    total = 0
    cursors = _cursors()
    while found := changes_since(store, cursors):
        for bucket, (cursor, changes) in found.items():
            cursors[bucket] = _record_bucket(bucket, cursors[bucket], cursor, changes)
            total += len(changes)
    return total


def change_of(store: LimitStore, bucket: int, change_id: str) -> Change | None:
    """A change that was just made, by its id. Raises `redis.RedisError`."""
    life, _, entry = change_id.partition(":")
    milliseconds, _, number = entry.partition("-")
    before = f"{milliseconds}-{int(number) - 1}" if int(number) else f"{int(milliseconds) - 1}-{2**64 - 1}"
    _, changes = changes_since(store, {bucket: Cursor(life, before)}).get(bucket, (None, []))
    return next((change for change in changes if change.id == change_id), None)


def _cursors() -> dict[int, Cursor]:
    rows = {row.bucket: Cursor(row.life, row.entry) for row in FollowedUntil.objects.all()}
    return {bucket: rows.get(bucket, Cursor()) for bucket in range(BUCKETS)}


def _record_bucket(bucket: int, begin: Cursor, end: Cursor, changes: list[Change]) -> Cursor:
    """Record what lies between two cursors, unless another worker has done so; gives where to go on."""
    with transaction.atomic():
        row, _ = FollowedUntil.objects.select_for_update().get_or_create(
            bucket=bucket, defaults=begin._asdict()
        )
        if (row.life, row.entry) != begin:
            return Cursor(row.life, row.entry)
        for change in changes:
            record(change)
        row.life, row.entry = end
        row.save()
    return end
