"""A subject's requests over time, for charts: admitted and refused by minute, hour and day.

What is booked comes from the books, whose rows are sums already; the newest minutes come from the limit
store, so that a chart agrees with the counters.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import DateTimeField, Value
from django.db.models.functions import Cast

from usage.books.unbooked import Counts, counts_of
from usage.limits.outcomes import column_of
from usage.models import BookedUntil, UsageDay, UsageHour, UsageMinute
from usage.models.usage import COUNTS
from usage.spans import DAY, HOUR, MINUTE, MINUTE_SECONDS, day_start, hour_start, minute_start
from usage.subjects import bucket_of

MINUTES, HOURS, DAYS = 60, 24, 30  # points of each series, the present one included
# Older minutes that aren't booked yet are left to the books: the worker has been away for a day.
LONGEST_UNBOOKED = 24 * 60


class Point(NamedTuple):
    """What happened in the span of time that begins at `start`: the counts of `usage.models.usage.COUNTS`.

    `failed` are among the admitted.
    """

    start: datetime
    admitted: int
    failed: int
    minute_hits: int
    day_hits: int
    concurrent_hits: int
    blocked_hits: int
    other_hits: int

    @property
    def refused(self) -> int:
        return sum(self[3:])


class Series(NamedTuple):
    """The last hour by minute, 24 hours by hour and 30 days by day: oldest first, and none left out."""

    minutes: list[Point]
    hours: list[Point]
    days: list[Point]


def series_of(subject_id: str, now: int, *, live: bool = True) -> Series:
    """The subject's series up to `now`, in Unix seconds on the limit store's clock.

    One query and one round trip; not `live`: what is booked alone. Raises `redis.RedisError`.
    """
    present = minute_start(now // MINUTE_SECONDS)
    spans = {
        "minutes": _starts(present, MINUTE, MINUTES),
        "hours": _starts(hour_start(present), HOUR, HOURS),
        "days": _starts(day_start(present), DAY, DAYS),
    }
    booked_until, rows = _booked(subject_id, spans)
    if live:
        minute = now // MINUTE_SECONDS
        unbooked = range(max(booked_until, minute - LONGEST_UNBOOKED) + 1, minute + 1)
        rows += _unbooked(counts_of(subject_id, unbooked))
    sums = {name: {start: [0] * len(COUNTS) for start in starts} for name, starts in spans.items()}
    for name, start, *counts in rows:
        if start in sums[name]:
            sums[name][start] = [before + n for before, n in zip(sums[name][start], counts, strict=True)]
    return Series(*([Point(start, *counts) for start, counts in points.items()] for points in sums.values()))


def _starts(last: datetime, length: timedelta, number: int) -> list[datetime]:
    return [last - length * before for before in reversed(range(number))]


# Series, start, and the counts in their order.
Row = tuple[str, datetime, *tuple[int, ...]]


def _booked(subject_id: str, spans: dict[str, list[datetime]]) -> tuple[int, list[Row]]:
    """The watermark (0: never booked), and the rows of the books.

    In one query, so that all of it is of one moment: what is booked between two would be counted twice.
    """
    models = {"minutes": UsageMinute, "hours": UsageHour, "days": UsageDay}
    first, *others = (
        models[name]
        .objects.of_subject(subject_id)
        .between(starts[0], starts[-1])
        .order_by()
        .values_list(Value(name), "start", *COUNTS)
        for name, starts in spans.items()
    )
    watermark = BookedUntil.objects.filter(bucket=bucket_of(subject_id)).values_list(
        Value("watermark"), Cast(Value(None), DateTimeField()), "minute", *[Value(0)] * (len(COUNTS) - 1)
    )
    booked_until, rows = 0, []
    for row in first.union(*others, watermark, all=True):
        if row[0] == "watermark":
            booked_until = row[2]
        else:
            rows.append(row)
    return booked_until, rows


def _unbooked(counts: Counts) -> Iterator[Row]:
    for minute, outcomes in counts.items():
        start = minute_start(minute)
        sums = dict.fromkeys(COUNTS, 0)
        for (_, outcome), n in outcomes.items():
            sums[column_of(outcome)] += n
        yield "minutes", start, *sums.values()
        yield "hours", hour_start(start), *sums.values()
        yield "days", day_start(start), *sums.values()
