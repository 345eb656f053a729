"""The worker follows the limit store's changes into SQL, bucket by bucket, each change in its order.

The cursor moves in the transaction that records: killed anywhere and run again, it misses nothing and doubles
nothing.
"""

from django.db import transaction

from usage.escalation.recording import record
from usage.limits.store import LimitStore
from usage.limits.upkeep import Change, changes_since
from usage.models import FollowedUntil
from usage.subjects import BUCKETS

BEGINNING = ("", "0-0")


def follow_changes(store: LimitStore) -> int:
    """Record what has changed; gives the number of changes read. Raises `redis.RedisError`."""
    total = 0
    while changes := changes_since(store, _cursors()):
        for bucket, found in changes.items():
            _record_bucket(bucket, found)
            total += len(found)
    return total


def change_of(store: LimitStore, bucket: int, change_id: str) -> Change | None:
    """A change that was just made, by its id. Raises `redis.RedisError`."""
    life, _, entry = change_id.partition(":")
    milliseconds, _, number = entry.partition("-")
    before = f"{milliseconds}-{int(number) - 1}" if int(number) else f"{int(milliseconds) - 1}-{2**64 - 1}"
    found = changes_since(store, {bucket: (life, before)}).get(bucket, [])
    return next((change for change in found if change.id == change_id), None)


def _cursors() -> dict[int, tuple[str, str]]:
    rows = {row.bucket: (row.life, row.entry) for row in FollowedUntil.objects.all()}
    return {bucket: rows.get(bucket, BEGINNING) for bucket in range(BUCKETS)}


def _record_bucket(bucket: int, changes: list[Change]) -> None:
    with transaction.atomic():
        cursor, _ = FollowedUntil.objects.select_for_update().get_or_create(
            bucket=bucket, defaults={"life": BEGINNING[0], "entry": BEGINNING[1]}
        )
        for change in changes:
            record(change)
        cursor.life, cursor.entry = changes[-1].life, changes[-1].entry
        cursor.save()
