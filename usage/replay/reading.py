"""What a replay reads: which subjects come near a limit at all, and of these their minutes.

Most subjects never do, so the database chooses: a day at a time it sums up each subject's minutes, and names
only those that exceeded the lower one of the limits in force and the proposed ones, or that the ladder knew.
Of a subject that was chosen, minutes are read from the first such day on.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Min, Model, Q

from accounts.models import ApiKey, Tier
from usage.books.retention import MINUTES_KEPT
from usage.escalation.ladder import COOLDOWN, GUEST_PREFIX, Ladder, Place
from usage.escalation.memory import seconds
from usage.models import BookedUntil, EscalationEvent, EscalationState, UsageDay, UsageHour, UsageMinute
from usage.replay.engine import GROUND, Order, Windows
from usage.spans import DAY, HOUR, day_start, hour_start, minute_start
from usage.subjects import key_id_of, key_subject_id

SUBJECTS = 1000  # of which minutes are asked for at once: SQLite takes a limited number of parameters
ROWS = 500_000  # minutes that come here at once: some 10 MB
UNLIMITED = 2**31 - 1

_DEMAND = "(admitted + minute_hits + day_hits + blocked_hits)"
_SUMS = ("minutes", "requests", "admitted", "limit_hits", "blocked_hits", "concurrent_hits", "other_hits")


class Span(NamedTuple):
    """From a UTC day's beginning to the end of the newest minute that is booked."""

    first: datetime
    end: datetime

    def days(self) -> list["Span"]:
        starts = [self.first + n * DAY for n in range((self.end - self.first) // DAY + 1)]
        return [Span(start, min(start + DAY, self.end)) for start in starts if start < self.end]


def recorded_span(now: datetime) -> Span | None:
    """The days of which every minute is still kept, as far as they are booked; `None` if nothing is there."""
    booked_until = BookedUntil.objects.aggregate(minute=Min("minute"))["minute"]
    end = now if booked_until is None else minute_start(booked_until + 1)
    kept = hour_start(now - MINUTES_KEPT)
    first = day_start(kept) + (DAY if kept > day_start(kept) else 0 * DAY)
    oldest = UsageMinute.objects.filter(start__gte=first, start__lt=end).aggregate(start=Min("start"))[
        "start"
    ]
    return None if oldest is None else Span(day_start(oldest), end)


@dataclass
class Chosen:
    """Sums over all subjects, and who is to be looked at: since which day."""

    minutes: int = 0
    requests: int = 0
    admitted: int = 0
    limit_hits: int = 0
    blocked_hits: int = 0
    concurrent_hits: int = 0
    other_hits: int = 0
    requests_by_day: dict[datetime, int] = field(default_factory=dict)
    since: dict[str, datetime] = field(default_factory=dict)

    def portions(self) -> Iterator[tuple[datetime, list[str]]]:
        """Some of the chosen, with the day since when their minutes matter."""
        by_day: dict[datetime, list[str]] = defaultdict(list)
        for subject, since in self.since.items():
            by_day[since].append(subject)
        for since, subjects in by_day.items():
            subjects.sort()
            for first in range(0, len(subjects), SUBJECTS):
                yield since, subjects[first : first + SUBJECTS]


class Scope:
    """Whom a replay is about: everybody, or the subjects of a tier. Keys that are revoked are no matter.

    A key's own overrides win over what its tier has, and over what is proposed for it.
    """

    def __init__(self, tier: Tier | None, limits: tuple[Windows, Windows] | None) -> None:
        """Of a tier with its limits, those in force and the proposed. Without, everybody keeps theirs."""
        self.tier = tier
        self.limits = limits

    @property
    def is_of_guests(self) -> bool:
        return self.tier is not None and self.tier.slug == Tier.ANONYMOUS

    def subjects(self, span: Span) -> int:
        """How many of them asked anything in these days."""
        where, parameters = self._where()
        sql = (
            f"SELECT COUNT(DISTINCT subject) FROM {_table(UsageDay)}"  # noqa: S608 (names of our own)
            f" WHERE start >= %s AND start < %s AND {_DEMAND} > 0 AND {where}"
        )
        with connection.cursor() as cursor:
            cursor.execute(sql, [_time(span.first), _time(span.end), *parameters])
            number: int = cursor.fetchone()[0]
        return number

    def choose(self, span: Span, day: Span, chosen: Chosen) -> None:
        """Add one of the span's days: its sums, and those who matter from it on."""
        where, parameters = self._where()
        minute_limit, day_limit, limit_parameters = self._limits()
        sums = ", ".join(f"CAST(COALESCE(SUM({name}), 0) AS bigint)" for name in _SUMS)
        sql = f"""
            WITH busy AS (
              SELECT subject, COUNT(*) AS minutes, MAX({_DEMAND}) AS most, SUM({_DEMAND}) AS requests,
                SUM(admitted) AS admitted, SUM(minute_hits + day_hits) AS limit_hits,
                SUM(blocked_hits) AS blocked_hits, SUM(concurrent_hits) AS concurrent_hits,
                SUM(other_hits) AS other_hits
              FROM {_table(UsageMinute)}
              WHERE start >= %s AND start < %s AND {where}
              GROUP BY subject
            )
            SELECT NULL AS subject, {sums} FROM busy
            UNION ALL
            SELECT busy.subject, 0, 0, 0, 0, 0, 0, 0
            FROM busy
            LEFT JOIN {_table(ApiKey)} api_key ON 'k:' || api_key.id = busy.subject
            LEFT JOIN {_table(Tier)} tier ON tier.id = api_key.tier_id
            LEFT JOIN {_table(EscalationState)} place ON place.subject = busy.subject
              AND (place.escalation >= {COOLDOWN} OR place.changed_at >= %s)
            WHERE busy.most > {minute_limit} OR busy.requests > {day_limit} OR place.id IS NOT NULL
        """  # noqa: S608 (names of our own)
        with connection.cursor() as cursor:
            cursor.execute(
                sql, [_time(day.first), _time(day.end), *parameters, _time(span.first), *limit_parameters]
            )
            for subject, *numbers in cursor:
                if subject is not None:
                    chosen.since.setdefault(subject, day.first)
                    continue
                for name, number in zip(_SUMS, numbers, strict=True):
                    setattr(chosen, name, getattr(chosen, name) + number)
                chosen.requests_by_day[day.first] = numbers[1]

    def windows(self, subjects: Sequence[str]) -> dict[str, tuple[Windows, Windows]]:
        """The limits in force and the proposed ones of each; none of a key that isn't there any more."""
        found: dict[str, tuple[Windows, Windows]] = {}
        of_guests = {subject for subject in subjects if subject.startswith(GUEST_PREFIX)}
        if of_guests:
            guests = Tier.objects.get(slug=Tier.ANONYMOUS)
            found |= dict.fromkeys(of_guests, self._both(Windows(guests.minute, guests.day)))
        ids = [key_id for subject in subjects if (key_id := key_id_of(subject)) is not None]
        keys = ApiKey.objects.filter(pk__in=ids).values_list(
            "pk",
            *(f"tier__{kind}" for kind in Windows._fields),
            *(f"{kind}_override" for kind in Windows._fields),
        )
        for pk, *numbers in keys:
            of_tier, own = Windows(*numbers[:2]), Windows(*numbers[2:])
            current, proposed = self._both(of_tier)
            found[key_subject_id(pk)] = own.over(current), own.over(proposed)
        return found

    def _both(self, of_tier: Windows) -> tuple[Windows, Windows]:
        return (of_tier, of_tier) if self.limits is None else self.limits

    def _where(self) -> tuple[str, list[Any]]:
        """Which rows of the books are theirs."""
        of_guests = f"subject LIKE '{GUEST_PREFIX}%%'"
        of_keys = f"subject IN (SELECT 'k:' || id FROM {_table(ApiKey)} WHERE status <> %s{{}})"  # noqa: S608
        if self.is_of_guests:
            return of_guests, []
        if self.tier is None:
            return f"({of_guests} OR {of_keys.format('')})", [ApiKey.Status.REVOKED]
        return of_keys.format(" AND tier_id = %s"), [ApiKey.Status.REVOKED, self.tier.pk]

    def _limits(self) -> tuple[str, str, list[Any]]:
        """The lower limits of both, as expressions over `api_key` and `tier`: by minute, by day."""
        if self.limits is None:
            guests = Tier.objects.get(slug=Tier.ANONYMOUS)
            of_guests = f"CASE WHEN tier.id IS NULL THEN %s ELSE {UNLIMITED} END"
            minute, day = (
                f"COALESCE(api_key.{kind}_override, tier.{kind}, {of_guests})" for kind in Windows._fields
            )
            return minute, day, [_number(guests.minute), _number(guests.day)]
        minute, day = (f"COALESCE(api_key.{kind}_override, %s)" for kind in Windows._fields)
        return minute, day, [min(map(_number, both)) for both in zip(*self.limits, strict=True)]


@dataclass
class History:
    """How the ladder knew a subject: where it stood before the first day, and what staff did since."""

    start: Place = GROUND
    orders: list[Order] = field(default_factory=list)


def histories(subjects: Sequence[str], span: Span, ladder: Ladder) -> dict[str, History]:
    """Of those that have one. A place is as the newest change before the first day left it.

    Since when it was clean by then is known to the change alone: refusals later on leave no event.
    """
    found: dict[str, History] = defaultdict(History)
    events = EscalationEvent.objects.filter(subject__in=subjects, at__lt=span.end).order_by("at", "id")
    for event in events.only("subject", "at", "cause", "after", "until"):
        history, at = found[event.subject], seconds(event.at)
        by_staff = event.cause in (EscalationEvent.Cause.SUSPENDED, EscalationEvent.Cause.REACTIVATED)
        grace = ladder.grace_seconds if event.cause == EscalationEvent.Cause.REACTIVATED else 0
        if event.at >= span.first:
            if by_staff:
                history.orders.append(Order(at, event.after, grace))
            continue
        until = seconds(event.until)
        grace_from = until if event.until else at if grace else None
        history.start = Place(
            escalation=event.after,
            until=until,
            grace_until=0 if grace_from is None else grace_from + ladder.grace_seconds,
            clean_since=max(at, until),
        )
    return found


def struck_before(subjects: Iterable[str], span: Span) -> int:
    """How many of them met a limit in the hour before the first day: what strikes that left isn't known."""
    hour = UsageHour.objects.filter(start=span.first - HOUR).filter(Q(minute_hits__gt=0) | Q(day_hits__gt=0))
    return len(set(hour.values_list("subject", flat=True)).intersection(subjects))


def minutes_of(subjects: Sequence[str], span: Span) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """Of each of the subjects its minutes in order, with what was asked in each."""
    where = f"subject IN ({', '.join(['%s'] * len(subjects))}) AND start >= %s AND start < %s"
    parameters = [*subjects, _time(span.first), _time(span.end)]
    table, minute, together, read = _table(UsageMinute), *_DIALECTS[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {table} WHERE {where}", parameters)  # noqa: S608 (names of our own)
        if cursor.fetchone()[0] > ROWS and len(subjects) > 1:
            half = len(subjects) // 2
            yield from minutes_of(subjects[:half], span)
            yield from minutes_of(subjects[half:], span)
            return
        # Two lists a subject, in whatever order they lie there: nearly the one of time, so there is little to
        # sort. A row for each minute cost twice as much on both sides.
        cursor.execute(
            f"SELECT subject, {together}({minute}), {together}({_DEMAND}) FROM {table}"  # noqa: S608
            f" WHERE {where} AND {_DEMAND} > 0 GROUP BY subject",
            parameters,
        )
        for subject, minutes, demands in cursor:
            yield subject, sorted(zip(read(minutes), read(demands), strict=True))


def _as_it_is(numbers: list[int]) -> list[int]:
    return numbers


def _from_text(numbers: str) -> list[int]:
    return [int(number) for number in numbers.split(",")]


# A time as a Unix minute, what makes a list of numbers, and what reads one.
_DIALECTS: dict[str, tuple[str, str, Callable[[Any], list[int]]]] = {
    "postgresql": ("CAST(EXTRACT(EPOCH FROM start) AS bigint) / 60", "array_agg", _as_it_is),
    "sqlite": ("CAST(strftime('%%s', start) AS integer) / 60", "group_concat", _from_text),
}


def _number(limit: int | None) -> int:
    return UNLIMITED if limit is None else limit


def _table(model: type[Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


def _time(at: datetime) -> Any:
    """A time as the database's driver takes it."""
    return connection.ops.adapt_datetimefield_value(at)
