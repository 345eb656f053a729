"""The books: what the limit store counted in closed minutes, brought to SQL.

The scripts stamp each count with the store's own minute, so a minute that is over never changes. It is
read, and in one transaction its rows are written as absolute numbers, the hours and days it is part of are
summed up anew, and the bucket's watermark moves. Run twice, at once, or killed anywhere and run again, it
gives the same rows. Nothing is taken out of the store: what is booked leaves by its time to live.
"""

import re
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Model

from accounts.models import ApiKey
from usage.books.quota_notices import owe_quota_notices
from usage.books.retention import MINUTES_KEPT
from usage.limits.outcomes import ADMITTED, FAILED, SETTLING_SECONDS, column_of
from usage.limits.store import LimitStore
from usage.models import BookedUntil, RateHit, UsageDay, UsageHour, UsageMinute
from usage.models.usage import COUNTS, Usage
from usage.spans import DAY, HOUR, MINUTE, day_start, hour_start, minute_start
from usage.subjects import BUCKETS, key_id_of

# How far back a run looks after the worker stood still. An hour is summed up from its minutes, so this ends
# safely before retention has removed the first of them: an hour that is booked must never shrink.
LONGEST_STRETCH = (MINUTES_KEPT - 2 * HOUR) // MINUTE
# So many counts are read and written at once: it bounds memory, and for how long a transaction lasts.
PORTION = 5_000
# After a long stretch the worker has other things to do as well; beat soon asks again.
LONGEST_RUN = 50.0  # seconds
# Quotas of a day that ended longer ago are no news.
NEWS = timedelta(hours=1)

# In one statement: SQLite takes a limited number of parameters.
_ROWS = 1000
_COLUMN = {name: place for place, name in enumerate(COUNTS)}
_UNPRINTABLE = dict.fromkeys([*range(32), *range(127, 160)])
_TOLD = re.compile(r"\n([0-9]{1,15})\n([0-9]{1,15})\Z")
_LARGEST = 2**31 - 1
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
    for start, counts in usage.items():
        hours[hour_start(start)].update(counts)
        days[day_start(start)].update(counts)
    with transaction.atomic():
        # Locked until the end, so that two runs can't write by turns.
        watermark, _ = BookedUntil.objects.select_for_update().get_or_create(
            bucket=portion.bucket, defaults={"minute": 0}
        )
        if watermark.minute != booked_until:
            return None
        rows = _write_minutes(usage) + _write_hits(_without_who_left(hits))
        for start, subjects in hours.items():
            _sum_up(UsageMinute, UsageHour, start, start + HOUR, subjects)
        for start, subjects in days.items():
            _sum_up(UsageHour, UsageDay, start, start + DAY, subjects, bucket=portion.bucket)
            if start + DAY + NEWS > now:
                owe_quota_notices(start, subjects)
        watermark.minute = portion.until
        watermark.save(update_fields=["minute"])
    return rows


class _Hit(NamedTuple):
    """A row of `RateHit`."""

    subject: str
    minute: datetime
    kind: str
    route: str
    number: int
    sample: "_Sample"


class _Sample(NamedTuple):
    """Who sent one of a hit's requests; of one that came too early also what it was told and what it did."""

    address: str = ""
    user_agent: str = ""
    told_seconds: int | None = None
    waited_ms: int | None = None

    @classmethod
    def read(cls, text: str) -> "_Sample":
        """The lines that `tally.lua` keeps. (Those written by older processes are two.)"""
        who, told = text, _TOLD.search(text)
        if told is not None:
            who = text[: told.start()]
        address, _, agent = who.partition("\n")
        sample = cls(_text(address, _ADDRESS), _text(agent, _USER_AGENT))
        if told is None:
            return sample
        return sample._replace(told_seconds=_number(told[1]), waited_ms=_number(told[2]))

    @property
    def is_known(self) -> bool:
        return bool(self.address or self.user_agent)


# A minute's start -> subject -> counts in the order of COUNTS
_Usage = dict[datetime, dict[str, list[int]]]


def _read(store: LimitStore, portion: _Portion) -> tuple[_Usage, list[_Hit]]:
    """The rows of a portion, as the store counted them. What it took back again never was."""
    rows: _Usage = {}
    hits: list[_Hit] = []
    samples = store.samples_of_bucket(portion.bucket, portion.minutes)
    for minute, usage in store.usage_of_bucket(portion.bucket, portion.minutes).items():
        start = minute_start(minute)
        counts = rows[start] = {}
        sampled = samples.get(minute, {})
        for field, n in usage.items():
            if n <= 0:
                continue
            subject, route, outcome = field
            if subject not in counts:
                counts[subject] = [0] * len(COUNTS)
            counts[subject][_COLUMN[column_of(outcome)]] += n
            if outcome not in (ADMITTED, FAILED):
                sample = _Sample.read(sampled.get(field, ""))
                hits.append(_Hit(subject, start, outcome, route, n, sample))
    return rows, hits


def _text(sent: str, longest: int) -> str:
    """What a client sent, as a column takes it: without control characters, of which SQL knows no NUL."""
    return sent.translate(_UNPRINTABLE)[:longest]


def _number(text: str) -> int:
    """As much of it as a column takes: some weeks, in milliseconds."""
    return min(int(text), _LARGEST)


def _write_minutes(usage: _Usage) -> int:
    rows = [
        ((subject, start), counts)
        for start, of_minute in usage.items()
        for subject, counts in of_minute.items()
    ]
    _upsert(UsageMinute, ["subject", "start"], [], COUNTS, rows, updates=COUNTS)
    return len(rows)


def _without_who_left(hits: list[_Hit]) -> list[_Hit]:
    """The hits, without samples of keys whose account was deleted since (`usage.closed_accounts`)."""
    ids = {key_id_of(hit.subject) for hit in hits if hit.sample.is_known}
    sampled = {key_id for key_id in ids if key_id is not None}
    if not sampled:
        return hits
    gone = sampled - set(ApiKey.objects.filter(pk__in=sampled).values_list("pk", flat=True))
    return [hit._replace(sample=_Sample()) if key_id_of(hit.subject) in gone else hit for hit in hits]


def _write_hits(hits: list[_Hit]) -> int:
    who, how_long = ["address", "user_agent"], ["told_seconds", "waited_ms"]
    # Apart, so that a hit whose sample is gone keeps the one that its row has.
    for some, updates in (
        ([hit for hit in hits if hit.sample.is_known], ["count", *who, *how_long]),
        ([hit for hit in hits if not hit.sample.is_known], ["count"]),
    ):
        rows = [
            (
                (hit.subject, hit.minute, hit.kind, hit.route, hit.sample.address, hit.sample.user_agent),
                [hit.number, hit.sample.told_seconds, hit.sample.waited_ms],
            )
            for hit in some
        ]
        _upsert(RateHit, ["subject", "minute", "kind", "route"], who, ["count", *how_long], rows, updates)
    return len(hits)


def _upsert(
    model: type[Model],
    unique: Sequence[str],
    others: Sequence[str],
    numbers: Sequence[str],
    rows: Sequence[tuple[Sequence[str | datetime], Sequence[int | None]]],
    updates: Sequence[str],
) -> None:
    """Insert rows, or update those that are there.

    A row is the values of the columns `unique` and `others`, and the integers of `numbers`. Those are written
    into the statement as they are: with `bulk_create` a flush took twice the processor time.
    """
    quote = connection.ops.quote_name
    columns = ", ".join(map(quote, (*unique, *others, *numbers)))
    values = "(" + "%s, " * (len(unique) + len(others)) + "{})"
    conflict = ", ".join(map(quote, unique))
    for first in range(0, len(rows), _ROWS):
        some = rows[first : first + _ROWS]
        sql = (
            f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES "  # noqa: S608 (names of our own)
            + ", ".join([values.format(", ".join(map(_literal, integers))) for _, integers in some])
            + f" ON CONFLICT ({conflict}) DO UPDATE SET {_excluded(updates)}"
        )
        with connection.cursor() as cursor:
            cursor.execute(sql, [_parameter(value) for given, _ in some for value in given])


def _literal(number: int | None) -> str:
    return "NULL" if number is None else str(number)


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
    columns = ", ".join(map(quote, ("subject", "start", *constants, *COUNTS)))
    sums = ", ".join(f"SUM({quote(name)})" for name in COUNTS)
    ordered = sorted(subjects)
    for first in range(0, len(ordered), _ROWS):
        some = ordered[first : first + _ROWS]
        sql = (
            f"INSERT INTO {quote(whole._meta.db_table)} ({columns})"  # noqa: S608 (names of our own)
            f" SELECT subject, {', '.join(['%s'] * (1 + len(constants)))}, {sums}"
            f" FROM {quote(parts._meta.db_table)}"
            f" WHERE subject IN ({', '.join(['%s'] * len(some))}) AND start >= %s AND start < %s"
            f" GROUP BY subject ON CONFLICT (subject, start) DO UPDATE SET {_excluded(COUNTS)}"
        )
        span = _parameter(start), _parameter(end)
        with connection.cursor() as cursor:
            cursor.execute(sql, [span[0], *constants.values(), *some, *span])


def _excluded(names: Iterable[str]) -> str:
    """What follows ON CONFLICT … DO UPDATE SET, for columns that take the new row's value."""
    return ", ".join(f"{name} = excluded.{name}" for name in map(connection.ops.quote_name, names))


def _parameter(value: str | datetime) -> str | datetime | None:
    """A value as the database's driver takes it."""
    if isinstance(value, datetime):
        adapted: str | datetime | None = connection.ops.adapt_datetimefield_value(value)
        return adapted
    return value
