"""The books: what the limit store counted in closed minutes, brought to SQL.

The scripts stamp each count with the store's own minute, so a minute that is over never changes. It is
read, and in one transaction its rows are written as absolute numbers, the hours and days it is part of are
summed up anew, and the bucket's watermark moves. Run twice, at once, or killed anywhere and run again, it
gives the same rows. Nothing is taken out of the store: what is booked leaves by its time to live.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction

from usage.limits.store import LimitStore
from usage.models import BookedUntil, RateHit, UsageDay, UsageHour, UsageMinute
from usage.models.usage import COUNTS, Usage
from usage.outcomes import ADMITTED, FAILED, SETTLING_SECONDS, column_of
from usage.quota_notices import owe_quota_notices
from usage.retention import MINUTES_KEPT
from usage.spans import DAY, HOUR, MINUTE, day_start, hour_start, minute_start
from usage.subjects import BUCKETS

# How far back a run looks after the worker stood still. An hour is summed up from its minutes, so this ends
# safely before retention has removed the first of them: an hour that is booked must never shrink.
LONGEST_STRETCH = (MINUTES_KEPT - 2 * HOUR) // MINUTE
# So many counts are read and written at once: it bounds memory, and for how long a transaction lasts.
PORTION = 5_000
# After a long stretch the worker has other things to do as well; beat soon asks again.
LONGEST_RUN = 50.0  # seconds
# Quotas of a day that ended longer ago are no news.
NEWS = timedelta(hours=1)

# Subjects in one statement. (SQLite takes a limited number of parameters.)
_SUBJECTS = 500
_COLUMN = {name: place for place, name in enumerate(COUNTS)}
_UNPRINTABLE = dict.fromkeys([*range(32), *range(127, 160)])
_ADDRESS, _USER_AGENT = 45, 200  # characters that the columns of `RateHit` take


class _Portion(NamedTuple):
    """Minutes of a bucket that are booked together, after which everything to `until` is in SQL."""

    bucket: int
    minutes: list[int]
    until: int


def book_closed_minutes(store: LimitStore) -> int:
    """Book every bucket up to the last closed minute; gives the number of rows written.

    A run that meets another one leaves the rest to it. Raises `redis.RedisError` if the store can't be read:
    what was booked until then stays.
    """
    now = store.now()
    last_closed = (now - SETTLING_SECONDS) // 60 - 1
    watermarks = dict(BookedUntil.objects.values_list("bucket", "minute"))
    stop_at = time.monotonic() + LONGEST_RUN
    rows = 0
    # Whichever is the furthest behind comes first, so that none waits for the others to catch up.
    for bucket in sorted(range(BUCKETS), key=lambda bucket: watermarks.get(bucket, 0)):
        booked_until = watermarks.get(bucket, 0)
        for portion in _portions(store, bucket, booked_until, last_closed):
            if time.monotonic() > stop_at:
                return rows
            written = _book(store, portion, booked_until, minute_start(now // 60))
            if written is None:
                return rows
            rows += written
            booked_until = portion.until
    return rows


def _portions(store: LimitStore, bucket: int, booked_until: int, last_closed: int) -> Iterator[_Portion]:
    minutes = range(max(booked_until, last_closed - LONGEST_STRETCH) + 1, last_closed + 1)
    if not minutes:
        return
    together: list[int] = []
    counts = 0
    for minute, size in store.sizes_of_bucket(bucket, minutes).items():
        if together and counts + size > PORTION:
            yield _Portion(bucket, together, together[-1])
            together, counts = [], 0
        together.append(minute)
        counts += size
    yield _Portion(bucket, together, last_closed)


def _book(store: LimitStore, portion: _Portion, booked_until: int, now: datetime) -> int | None:
    """Book a portion, which begins where the bucket is `booked_until`; `None` if another run was faster."""
    # Read before the transaction: SQLite has one writer at a time, who shouldn't wait for another server.
    usage, hits = _read(store, portion)
    hours: dict[datetime, set[str]] = defaultdict(set)
    days: dict[datetime, set[str]] = defaultdict(set)
    for row in usage:
        hours[hour_start(row.start)].add(row.subject)
        days[day_start(row.start)].add(row.subject)
    with transaction.atomic():
        # Locked until the end, so that two runs can't write by turns.
        watermark, _ = BookedUntil.objects.select_for_update().get_or_create(
            bucket=portion.bucket, defaults={"minute": 0}
        )
        if watermark.minute != booked_until:
            return None
        _write_minutes(usage)
        _write_hits(hits)
        for start, subjects in hours.items():
            _sum_up(UsageMinute, UsageHour, start, start + HOUR, subjects)
        for start, subjects in days.items():
            _sum_up(UsageHour, UsageDay, start, start + DAY, subjects, bucket=portion.bucket)
            if start + DAY + NEWS > now:
                owe_quota_notices(start, subjects)
        watermark.minute = portion.until
        watermark.save(update_fields=["minute"])
    return len(usage) + len(hits)


def _read(store: LimitStore, portion: _Portion) -> tuple[list[UsageMinute], list[RateHit]]:
    """The rows of a portion, as the store counted them. What it took back again never was."""
    rows: list[UsageMinute] = []
    hits: list[RateHit] = []
    samples = store.samples_of_bucket(portion.bucket, portion.minutes)
    for minute, usage in store.usage_of_bucket(portion.bucket, portion.minutes).items():
        start = minute_start(minute)
        counts: dict[str, list[int]] = {}
        for field, count in usage.items():
            if count <= 0:
                continue
            subject, route, outcome = field
            counts.setdefault(subject, [0] * len(COUNTS))[_COLUMN[column_of(outcome)]] += count
            if outcome not in (ADMITTED, FAILED):
                address, _, user_agent = samples.get(minute, {}).get(field, "").partition("\n")
                hits.append(
                    RateHit(
                        subject=subject,
                        minute=start,
                        kind=outcome,
                        route=route,
                        count=count,
                        address=_text(address, _ADDRESS),
                        user_agent=_text(user_agent, _USER_AGENT),
                    )
                )
        rows += [
            UsageMinute(subject=subject, start=start, **dict(zip(COUNTS, numbers, strict=True)))
            for subject, numbers in counts.items()
        ]
    return rows, hits


def _text(sent: str, longest: int) -> str:
    """What a client sent, as a column takes it: without control characters, of which SQL knows no NUL."""
    return sent.translate(_UNPRINTABLE)[:longest]


def _write_minutes(rows: list[UsageMinute]) -> None:
    UsageMinute.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["subject", "start"], update_fields=COUNTS
    )


def _write_hits(hits: list[RateHit]) -> None:
    # Apart, so that a hit whose sample is gone keeps the one that its row has.
    for rows, samples in (
        ([hit for hit in hits if hit.address or hit.user_agent], ["address", "user_agent"]),
        ([hit for hit in hits if not (hit.address or hit.user_agent)], []),
    ):
        RateHit.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["subject", "minute", "kind", "route"],
            update_fields=["count", *samples],
        )


def _sum_up(
    parts: type[Usage],
    whole: type[Usage],
    start: datetime,
    end: datetime,
    subjects: Collection[str],
    **constants: int,
) -> None:
    """Write some subjects' rows of the span from `start` to `end` as the sums of its parts' rows.

    The database does it, in one statement that SQLite and PostgreSQL both know: neither parts nor sums come
    here. `constants` are the whole's columns that the parts don't have.
    """
    quote = connection.ops.quote_name
    counts = [quote(name) for name in COUNTS]
    columns = ", ".join([quote("subject"), quote("start"), *map(quote, constants), *counts])
    sums = ", ".join(f"SUM({count})" for count in counts)
    updates = ", ".join(f"{count} = excluded.{count}" for count in counts)
    span = [connection.ops.adapt_datetimefield_value(at) for at in (start, end)]
    ordered = sorted(subjects)
    with connection.cursor() as cursor:
        for first in range(0, len(ordered), _SUBJECTS):
            some = ordered[first : first + _SUBJECTS]
            cursor.execute(
                f"INSERT INTO {quote(whole._meta.db_table)} ({columns})"  # noqa: S608 (names of our own)
                f" SELECT subject, {', '.join(['%s'] * (1 + len(constants)))}, {sums}"
                f" FROM {quote(parts._meta.db_table)}"
                f" WHERE subject IN ({', '.join(['%s'] * len(some))}) AND start >= %s AND start < %s"
                " GROUP BY subject"
                f" ON CONFLICT (subject, start) DO UPDATE SET {updates}",
                [span[0], *constants.values(), *some, *span],
            )
