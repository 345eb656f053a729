"""How a subject stands right now: what it used, what was refused, where it is on the ladder.

The numbers come from the counters that enforce, so a page agrees with what the limiter will do next.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import redis
from django.db.models import Sum, Window

from accounts.models import ApiKey
from usage import subjects
from usage.limits.decision import Decision
from usage.limits.kinds import Kind
from usage.limits.link import LimitStoreDown
from usage.limits.store import limit_store
from usage.models import BookedUntil, RateHit
from usage.outcomes import ADMITTED
from usage.spans import DAY, MINUTE, minute_start
from usage.subjects import Subject
from usage.unbooked import counts_of

NEAR = 80  # per cent of a limit from which a quota counts as nearly used up
RECENT_HITS = 50
SHOWN = (Kind.DAY, Kind.MINUTE, Kind.CONCURRENT)  # in the order of the page
HITS_PERIOD = DAY


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit: how much of it is used, when it is all back, and where its number comes from."""

    kind: Kind
    used: int
    limit: int | None
    resets_at: datetime | None
    source: str

    @property
    def left(self) -> int | None:
        return None if self.limit is None else max(0, self.limit - self.used)

    @property
    def percent(self) -> int:
        """Used, in whole per cent from 0 to 100; nothing of no limit."""
        return 0 if self.limit is None else min(100, self.used * 100 // self.limit)

    @property
    def level(self) -> str:
        """`ok`, `near` or `full`."""
        if self.left == 0:
            return "full"
        return "near" if self.percent >= NEAR else "ok"


@dataclass(frozen=True, slots=True)
class Hit:
    """Requests refused in one minute, on one route, by one limit."""

    at: datetime
    route: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Hits:
    """What was refused in the last 24 hours: how many requests, and the newest of them."""

    total: int
    newest: list[Hit]


@dataclass(frozen=True, slots=True)
class Standing:
    """A subject at one moment. `live` is false when the limit store can't be asked: counts are unknown."""

    quotas: list[Quota]
    hits: Hits
    escalation: int
    strikes: int
    blocked_until: datetime | None
    now: datetime
    live: bool


def standing_of_key(key: ApiKey) -> Standing:
    """The standing of a key that was read just now."""
    return standing_of(
        subjects.of_key(key),
        lambda kind: "this key's override" if kind in key.overrides else f"{key.tier.name} tier",
    )


def standing_of(subject: Subject, source: Callable[[Kind], str] = lambda kind: "") -> Standing:
    """The subject's standing by the limits it has; two queries and two round trips.

    `source` tells where a limit's number comes from.
    """
    try:
        decision = limit_store().look(subject)
        hits = _hits(subject.id, decision.now)
    except (LimitStoreDown, redis.RedisError):
        now = datetime.now(UTC)
        return Standing(
            quotas=[Quota(kind, 0, getattr(subject.limits, kind), None, source(kind)) for kind in SHOWN],
            hits=_booked_hits(subject.id, now - HITS_PERIOD, now),
            escalation=0,
            strikes=0,
            blocked_until=None,
            now=now,
            live=False,
        )
    return Standing(
        quotas=_quotas(decision, source),
        hits=hits,
        escalation=decision.escalation,
        strikes=decision.strikes,
        blocked_until=_time(decision.escalation_until) if decision.is_blocked else None,
        now=_time(decision.now),
        live=True,
    )


def _quotas(decision: Decision, source: Callable[[Kind], str]) -> list[Quota]:
    used = {
        Kind.DAY: (decision.day_count, _time(decision.day_end)),
        Kind.MINUTE: (decision.minute_count, _time(decision.minute_end)),
        Kind.CONCURRENT: (decision.in_flight, None),
    }
    return [
        Quota(kind, used[kind][0], getattr(decision.limits, kind), used[kind][1], source(kind))
        for kind in SHOWN
    ]


def _hits(subject_id: str, now: int) -> Hits:
    """The period's hits: the booked minutes from SQL, those since from the store."""
    last_minute = now // 60
    first_minute = last_minute - HITS_PERIOD // MINUTE + 1
    # The watermark is read first: what is booked meanwhile is then counted once, from the store.
    watermark = BookedUntil.objects.filter(bucket=subjects.bucket_of(subject_id)).values_list(
        "minute", flat=True
    )
    booked_until = max(watermark.first() or 0, first_minute - 1)
    counts = counts_of(subject_id, range(booked_until + 1, last_minute + 1))
    unbooked = [
        Hit(minute_start(minute), route, outcome, n)
        for minute in sorted(counts, reverse=True)
        for (route, outcome), n in sorted(counts[minute].items())
        if outcome != ADMITTED
    ]
    booked = _booked_hits(subject_id, minute_start(first_minute), minute_start(booked_until))
    return Hits(booked.total + sum(hit.count for hit in unbooked), (unbooked + booked.newest)[:RECENT_HITS])


def _booked_hits(subject_id: str, first: datetime, last: datetime) -> Hits:
    rows = RateHit.objects.of_subject(subject_id).between(first, last)
    # The sum goes over all of them, before the limit cuts off what isn't shown.
    newest = list(rows.values_list("minute", "route", "kind", "count", Window(Sum("count")))[:RECENT_HITS])
    return Hits(newest[0][4] if newest else 0, [Hit(*row[:4]) for row in newest])


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
