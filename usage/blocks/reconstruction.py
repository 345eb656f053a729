"""The minutes that led to a block, put together again from the books.

The limit store counts strikes and keeps no list of them. What it counted is in the books, minute by minute,
and the ladder's rules say which of these minutes struck (`strikes_among`, which tests hold to the oracle,
`usage/escalation/ladder.py`). The change itself remembers how many strikes there were and the last minute's
numbers, so it can be told whether the two agree: they don't where staff have changed the limit or the
ladder's numbers meanwhile, or where the minutes are no longer kept.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import redis
from django.db.models import F, Q, Sum, Window

from usage.books.retention import HITS_KEPT, MINUTES_KEPT
from usage.books.unbooked import Counts, counts_of
from usage.escalation.ladder import Ladder
from usage.limits.kinds import Kind
from usage.limits.outcomes import ADMITTED, BY_THE_LADDER
from usage.models import EscalationEvent, RateHit, UsageMinute
from usage.spans import MINUTE, MINUTE_SECONDS, hour_start, minute_start

STRIKING = (Kind.MINUTE, Kind.DAY)
# Strikes can be older than that: of a client that is refused a little in every minute for days.
LONGEST_LOOK = MINUTES_KEPT
# What was refused during a block is counted for so long: a suspension may last for months.
LONGEST_BLOCK = timedelta(days=7)
# Whoever is blocked right now looks at minutes that the worker hasn't booked yet. Older ones it has, or it is
# out of order, and the page says that they are missing.
UNBOOKED_MINUTES = 60
SHOWN = 20


class Record(StrEnum):
    """What is still kept of the minutes: all of it, the refused requests alone, only what the change says."""

    ALL = "all"
    HITS = "hits"
    CHANGE = "change"


class Part(NamedTuple):
    """Requests of one minute that one limit refused on one route, and what is known of one of them; if that
    one came too early, what it had been told to wait and how long it did."""

    at: datetime
    route: str
    kind: str
    number: int
    address: str = ""
    user_agent: str = ""
    told_seconds: int | None = None
    waited_ms: int | None = None


@dataclass(frozen=True, slots=True)
class StruckMinute:
    """`served` is `None` where it is no longer known. `refused` are those that may strike."""

    at: datetime
    served: int | None
    refused: int
    limit: int | None
    parts: list[Part]

    @property
    def asked(self) -> int | None:
        return None if self.served is None else self.served + self.refused

    @property
    def is_over_the_day(self) -> bool:
        """Whether it was the day's limit that refused, and not the minute's."""
        if self.parts:
            return all(part.kind == Kind.DAY for part in self.parts)
        return self.asked is not None and self.limit is not None and self.asked <= self.limit


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """`minutes` are those whose strikes counted, the oldest first; of the strikes before them so many were
    `forgiven`. `strikes` is how many the ladder counted."""

    strikes: int
    minutes: list[StruckMinute]
    forgiven: int
    record: Record

    @property
    def adds_up(self) -> bool:
        return len(self.minutes) == self.strikes

    @property
    def shown(self) -> list[StruckMinute]:
        return self.minutes[-SHOWN:]

    @property
    def parts(self) -> list[Part]:
        return [part for minute in self.minutes for part in minute.parts]


class Refused(NamedTuple):
    """Requests that met the block, and the one that came soonest after being told to wait, if one did."""

    number: int
    hastiest: Part | None


class Climb(NamedTuple):
    """A step up the ladder, and the change before it, from which on strikes counted."""

    event: EscalationEvent
    previous: EscalationEvent | None


@dataclass(slots=True)
class _Minute:
    served: int | None
    refused: int
    parts: list[Part] = field(default_factory=list)


def strikes_among(
    refused: Iterable[tuple[int, int]], until: int, minute_limit: int | None, ladder: Ladder
) -> tuple[list[int], int]:
    """Which minutes' strikes counted in the minute `until`, and how many others were forgiven before.

    `refused` are pairs of a Unix minute and how many requests the minute's or the day's limit refused in it,
    in their order. The oldest strike is forgiven first.
    """
    counted: list[int] = []
    forgiven, last = 0, None
    for minute, refusals in [*refused, (until, 0)]:
        if last is not None:
            drops = max(0, (minute - last) // ladder.forgive_minutes)
            forgiven += len(counted[:drops])
            del counted[:drops]
        last = minute
        if ladder.is_bad(refusals, minute_limit):
            counted.append(minute)
    return counted, forgiven


def reconstruct(climbs: Sequence[Climb], ladder: Ladder, now: datetime, booked: int) -> list[Reconstruction]:
    """Of some steps up of one subject, in their order: three queries, however many they are, and one round
    trip to the limit store for what isn't `booked` yet."""
    if not climbs:
        return []
    subject = climbs[0].event.subject
    windows = [_window(climb) for climb in climbs]
    minutes = _minutes_of(subject, windows, now, booked)
    found = [_strikes_of(climb, minutes, ladder) for climb in climbs]
    shown = {minute for struck, _ in found for minute in struck[-SHOWN:]}
    _add_parts(subject, minutes, shown)
    return [
        Reconstruction(
            strikes=climb.event.strikes,
            minutes=[_struck(climb.event, minute, minutes.get(minute)) for minute in struck],
            forgiven=forgiven,
            record=_record(climb.event, now),
        )
        for climb, (struck, forgiven) in zip(climbs, found, strict=True)
    ]


def refused_during(event: EscalationEvent, end: datetime, now: datetime, booked: int) -> Refused:
    """What met the block that began with `event` and ends at `end`: one query, one round trip."""
    last = min(end, event.at + LONGEST_BLOCK, now)
    rows = list(
        RateHit.objects.of_subject(event.subject)
        .between(_minute(event.at), last)
        .filter(kind__in=BY_THE_LADDER)
        .annotate(total=Window(Sum("count")))
        .order_by(F("waited_ms").asc(nulls_last=True), "minute")[:1]
    )
    count: int = rows[0].total if rows else 0  # type: ignore[attr-defined]
    hastiest = _part(rows[0]) if rows else None
    counts = _unbooked(event.subject, event.at, last, now, booked)
    count += sum(
        n
        for of_minute in counts.values()
        for (_, outcome), n in of_minute.items()
        if outcome in BY_THE_LADDER
    )
    return Refused(count, hastiest if hastiest is not None and hastiest.waited_ms is not None else None)


def _window(climb: Climb) -> tuple[datetime, datetime]:
    """The minutes that may have struck: from the first to the last, both included."""
    event, previous = climb
    begin = event.at - LONGEST_LOOK
    if previous is not None:
        begin = max(begin, previous.until or previous.at)
    return _minute(begin), _minute(event.at) - MINUTE


def _minutes_of(
    subject: str, windows: Sequence[tuple[datetime, datetime]], now: datetime, booked: int
) -> dict[int, _Minute]:
    """Every minute of the windows in which a request was refused that may strike.

    Those that are kept tell of it themselves; of older ones their hits do.
    """
    minutes: dict[int, _Minute] = {}
    if any(first < _kept_since(now) for first, _ in windows):
        sums = (
            RateHit.objects.of_subject(subject)
            .filter(_within("minute", windows), kind__in=STRIKING, minute__lt=_kept_since(now))
            .order_by("minute")
            .values_list("minute")
            .annotate(Sum("count"))
        )
        minutes = {_number(at): _Minute(None, refused) for at, refused in sums}
    rows = (
        UsageMinute.objects.of_subject(subject)
        .filter(_within("start", windows))
        .filter(Q(minute_hits__gt=0) | Q(day_hits__gt=0))
        .order_by("start")
        .values_list("start", "admitted", "minute_hits", "day_hits")
    )
    for at, admitted, by_minute, by_day in rows:
        minutes[_number(at)] = _Minute(admitted, by_minute + by_day)
    first, last = windows[0][0], max(last for _, last in windows)
    for minute, counts in _unbooked(subject, first, last, now, booked).items():
        parts = [
            Part(minute_start(minute), route, outcome, n)
            for (route, outcome), n in sorted(counts.items())
            if outcome in STRIKING
        ]
        if parts and minute not in minutes:
            served = sum(n for (_, outcome), n in counts.items() if outcome == ADMITTED)
            minutes[minute] = _Minute(served, sum(part.number for part in parts), parts)
    return dict(sorted(minutes.items()))


def _strikes_of(climb: Climb, minutes: dict[int, _Minute], ladder: Ladder) -> tuple[list[int], int]:
    """The minutes that struck, and how many strikes were forgiven; the change says how many are expected."""
    event, previous = climb
    first, last = (_number(at) for at in _window(climb))
    refused = {minute: of.refused for minute, of in minutes.items() if first <= minute <= last}
    if event.minute is not None and event.refused:
        refused[_number(event.minute)] = event.refused  # as it was judged
    in_part = None
    if previous is not None:
        # A moment of grace follows a block or a reactivation; of the minute in which it ends nobody knows any
        # more which requests came before.
        grace_end = int((previous.until or previous.at).timestamp()) + ladder.grace_seconds
        refused = {minute: n for minute, n in refused.items() if (minute + 1) * MINUTE_SECONDS > grace_end}
        in_part = grace_end // MINUTE_SECONDS if grace_end % MINUTE_SECONDS else None
    until = _number(event.at)
    found = strikes_among(sorted(refused.items()), until, event.minute_limit, ladder)
    if len(found[0]) != event.strikes and in_part in refused:
        del refused[in_part]
        without = strikes_among(sorted(refused.items()), until, event.minute_limit, ladder)
        found = without if len(without[0]) == event.strikes else found
    return found


def _struck(event: EscalationEvent, minute: int, known: _Minute | None) -> StruckMinute:
    at = minute_start(minute)
    parts = known.parts if known else []
    if event.minute == at and event.refused:
        # The numbers that it was judged by, and that the email tells.
        return StruckMinute(at, event.served, event.refused, event.minute_limit, parts)
    served, refused = (known.served, known.refused) if known else (None, 0)
    return StruckMinute(at, served, refused, event.minute_limit, parts)


def _add_parts(subject: str, minutes: dict[int, _Minute], shown: set[int]) -> None:
    rows = (
        RateHit.objects.of_subject(subject)
        .filter(minute__in=[minute_start(minute) for minute in sorted(shown)], kind__in=STRIKING)
        .order_by("minute", "-count", "route")
    )
    booked: dict[int, list[Part]] = {}
    for row in rows:
        booked.setdefault(_number(row.minute), []).append(_part(row))
    for minute, parts in booked.items():
        if minute in minutes:
            minutes[minute].parts = parts
        else:  # the change's own, which is known without its row
            minutes[minute] = _Minute(None, sum(part.number for part in parts), parts)


def _unbooked(subject: str, first: datetime, last: datetime, now: datetime, booked: int) -> Counts:
    """What the limit store has of a span and the books don't yet; nothing while it can't be asked."""
    oldest = _number(now) - UNBOOKED_MINUTES
    if _number(last) <= oldest:
        return {}
    missing = range(max(booked, _number(first) - 1, oldest) + 1, _number(last) + 1)
    try:
        return counts_of(subject, missing) if missing else {}
    except redis.RedisError:
        return {}


def _record(event: EscalationEvent, now: datetime) -> Record:
    if event.at - MINUTE < now - HITS_KEPT:
        return Record.CHANGE
    return Record.ALL if _minute(event.minute or event.at) >= _kept_since(now) else Record.HITS


def _kept_since(now: datetime) -> datetime:
    return hour_start(now - MINUTES_KEPT)


def _within(name: str, windows: Sequence[tuple[datetime, datetime]]) -> Q:
    spans = Q()
    for first, last in windows:
        spans |= Q(**{f"{name}__gte": first, f"{name}__lte": last})
    return spans


def _part(row: RateHit) -> Part:
    return Part(
        *(row.minute, row.route, row.kind, row.count),
        *(row.address, row.user_agent, row.told_seconds, row.waited_ms),
    )


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _number(at: datetime) -> int:
    """A time's Unix minute."""
    return int(at.timestamp()) // MINUTE_SECONDS
