"""How a key stands right now: what it used, what was refused, where it is on the ladder.

The numbers come from the counters that enforce, so a page agrees with what the limiter will do next.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import redis

from accounts.models import ApiKey
from usage import routes, subjects
from usage.limits.decision import Decision
from usage.limits.kinds import Kind
from usage.limits.link import LimitStoreDown
from usage.limits.store import limit_store
from usage.models import BookedUntil, RateHit
from usage.spans import minute_start

NEAR = 80  # per cent of a limit from which a quota counts as nearly used up
RECENT_HITS = 50
SHOWN = (Kind.DAY, Kind.MINUTE, Kind.CONCURRENT)  # in the order of the page
HITS_PERIOD = timedelta(hours=24)


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
class Standing:
    """A key at one moment. `live` is false when the limit store can't be asked: the counts are unknown."""

    key: ApiKey
    quotas: list[Quota]
    hits_24h: int
    recent_hits: list[Hit]
    escalation: int
    blocked_until: datetime | None
    now: datetime
    live: bool


def standing_of(key: ApiKey) -> Standing:
    """The key's standing; the key must have been read just now. Two queries and two round trips."""
    subject = subjects.of_key(key)
    try:
        decision = limit_store().look(subject)
        hits = _hits(subject.id, decision.now)
    except (LimitStoreDown, redis.RedisError):
        now = datetime.now(UTC)
        hits = _booked_hits(subject.id, now - HITS_PERIOD, now)
        return Standing(
            key=key,
            quotas=[Quota(kind, 0, getattr(key.limits, kind), None, _source(key, kind)) for kind in SHOWN],
            hits_24h=sum(hit.count for hit in hits),
            recent_hits=hits[:RECENT_HITS],
            escalation=0,
            blocked_until=None,
            now=now,
            live=False,
        )
    return Standing(
        key=key,
        quotas=_quotas(key, decision),
        hits_24h=sum(hit.count for hit in hits),
        recent_hits=hits[:RECENT_HITS],
        escalation=decision.escalation,
        blocked_until=_time(decision.escalation_until) if decision.escalation_until else None,
        now=_time(decision.now),
        live=True,
    )


def _quotas(key: ApiKey, decision: Decision) -> list[Quota]:
    used = {
        Kind.DAY: (decision.day_count, _time(decision.day_end)),
        Kind.MINUTE: (decision.minute_count, _time(decision.minute_end)),
        Kind.CONCURRENT: (decision.in_flight, None),
    }
    return [
        Quota(kind, used[kind][0], getattr(decision.limits, kind), used[kind][1], _source(key, kind))
        for kind in SHOWN
    ]


def _source(key: ApiKey, kind: Kind) -> str:
    return "this key's override" if kind in key.overrides else f"{key.tier.name} tier"


def _hits(subject_id: str, now: int) -> list[Hit]:
    """The period's hits, newest first: the booked minutes from SQL, those since from the store."""
    last_minute = now // 60
    first_minute = last_minute - int(HITS_PERIOD.total_seconds()) // 60 + 1
    # The watermark is read first: what is booked meanwhile is then counted once, from the store.
    watermark = BookedUntil.objects.filter(bucket=subjects.bucket_of(subject_id)).values_list(
        "minute", flat=True
    )
    booked_until = max(watermark.first() or 0, first_minute - 1)
    fields = [(subject_id, route, kind) for route in sorted(routes.names()) for kind in Kind]
    open_minutes = limit_store().booked(fields, range(booked_until + 1, last_minute + 1))
    hits = [
        Hit(minute_start(minute), route, kind, count)
        for minute, counts in sorted(open_minutes.items(), reverse=True)
        for (_, route, kind), count in zip(fields, counts, strict=True)
        if count
    ]
    return hits + _booked_hits(subject_id, minute_start(first_minute), minute_start(booked_until))


def _booked_hits(subject_id: str, first: datetime, last: datetime) -> list[Hit]:
    rows = RateHit.objects.of_subject(subject_id).between(first, last)
    return [Hit(row.minute, row.route, row.kind, row.count) for row in rows]


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
