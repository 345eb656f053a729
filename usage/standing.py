"""How a subject stands right now: what it used, what was refused, where it is on the ladder.

The numbers come from the counters that enforce, so a page agrees with what the limiter will do next.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import redis
from django.db.models import Q, Sum, Window

from accounts.models import ApiKey
from usage import subjects
from usage.books.unbooked import counts_of
from usage.escalation import history
from usage.escalation.footing import Footing, Reason, footing_of, remembered_footing
from usage.escalation.history import Happening
from usage.escalation.ladder import WARNED, Ladder
from usage.escalation.policy import read_ladder
from usage.job_counts import job_counts_of
from usage.limits.decision import Decision
from usage.limits.kinds import JobKind, Kind
from usage.limits.link import LimitStoreDown
from usage.limits.outcomes import ADMITTED, BY_THE_LADDER
from usage.limits.store import limit_store
from usage.limits.upkeep import trace_of
from usage.models import BookedUntil, EscalationEvent, RateHit
from usage.spans import DAY, MINUTE, minute_start, time_of
from usage.subjects import Subject

NEAR = 80  # per cent of a limit from which a quota counts as nearly used up
RECENT_HITS = 50
RECENT_CHANGES = 20
HITS_PERIOD = DAY


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit: how much of it is used, when it is all back, and where its number comes from.

    `used` is `None` while the limit store, which counts it, can't be asked.
    """

    kind: Kind | JobKind
    used: int | None
    limit: int | None
    resets_at: datetime | None
    source: str

    @property
    def left(self) -> int | None:
        return None if self.limit is None or self.used is None else max(0, self.limit - self.used)

    @property
    def percent(self) -> int:
        """Used, in whole per cent from 0 to 100; nothing of no limit, and of what isn't known."""
        if self.limit is None or self.used is None:
            return 0
        return min(100, self.used * 100 // self.limit) if self.limit else 100

    @property
    def level(self) -> str:
        """`ok`, `near`, `full` or `unknown`."""
        if self.used is None:
            return "unknown"
        if self.left == 0:
            return "full"
        return "near" if self.percent >= NEAR else "ok"


@dataclass(frozen=True, slots=True)
class Hit:
    """Requests refused in one minute, on one route, by one limit or by the ladder.

    `address` and `user_agent` are one of theirs; "" where no sample was kept, or none has been booked yet.
    """

    at: datetime
    route: str
    kind: str
    count: int
    address: str = ""
    user_agent: str = ""

    @property
    def by_the_ladder(self) -> bool:
        return self.kind in BY_THE_LADDER


@dataclass(frozen=True, slots=True)
class Hits:
    """What was refused in the last 24 hours: how many requests, how many by the ladder, and the newest."""

    total: int
    by_the_ladder: int
    newest: list[Hit]


@dataclass(frozen=True, slots=True)
class Standing:
    """A subject at one moment. `live` is false when the limit store can't be asked: its counts are unknown.

    `quotas` are in the order of the page; `history` has the newest changes of its place on the ladder, the
    newest first.
    """

    quotas: list[Quota]
    hits: Hits
    footing: Footing
    history: list[Happening]
    now: datetime
    live: bool


def standing_of_key(key: ApiKey) -> Standing:
    """The standing of a key that was read just now."""
    return standing_of(
        subjects.of_key(key),
        lambda kind: "this key's override" if kind in key.overrides else f"{key.tier.name} tier",
    )


def standing_of(
    subject: Subject, source: Callable[[str], str] = lambda kind: "", booked_until: int | None = None
) -> Standing:
    """The subject's standing by the limits it has; six queries and three round trips.

    `source` tells where a limit's number comes from. `booked_until` is its bucket's watermark, if the caller
    has read it before: one query less.
    """
    ladder = read_ladder()
    events = list(EscalationEvent.objects.of_subject(subject.id)[:RECENT_CHANGES])
    try:
        decision = limit_store().look(subject)
        trace = trace_of(limit_store(), subject.id)
        hits = _hits(subject.id, decision.now, booked_until)
    except (LimitStoreDown, redis.RedisError):
        now = datetime.now(UTC)
        return Standing(
            quotas=_quotas(subject, None, source),
            hits=_booked_hits(subject.id, now - HITS_PERIOD, now),
            footing=remembered_footing(subject, int(now.timestamp()), ladder, events),
            history=_history(events, ladder),
            now=now,
            live=False,
        )
    footing = footing_of(subject, decision, trace, ladder, events)
    if footing.escalation == WARNED:
        footing = replace(footing, why=_why_warned(hits))
    return Standing(
        quotas=_quotas(subject, decision, source),
        hits=hits,
        footing=footing,
        history=_history(events, ladder),
        now=time_of(decision.now),
        live=True,
    )


def _history(events: Sequence[EscalationEvent], ladder: Ladder) -> list[Happening]:
    return [history.in_words(event, ladder) for event in events]


def _why_warned(hits: Hits) -> Reason | None:
    """The newest minute with refusals that warn."""
    warning = [hit for hit in hits.newest if hit.kind in (Kind.MINUTE, Kind.DAY)]
    if not warning:
        return None
    newest = [hit for hit in warning if hit.at == warning[0].at]
    count = sum(hit.count for hit in newest)
    requests = "1 request was" if count == 1 else f"{count:,} requests were"
    return Reason(f"{requests} refused in one minute, over the {newest[0].kind}'s limit.", newest[0].at)


def _quotas(subject: Subject, decision: Decision | None, source: Callable[[str], str]) -> list[Quota]:
    """Of requests, as the limit store counts them (`None`: it can't be asked), and of jobs."""
    used: dict[Kind | JobKind, int | None] = dict.fromkeys((Kind.DAY, Kind.MINUTE, Kind.CONCURRENT))
    resets_at: dict[Kind | JobKind, datetime] = {}
    if decision is not None:
        used = {
            Kind.DAY: decision.day_count,
            Kind.MINUTE: decision.minute_count,
            Kind.CONCURRENT: decision.in_flight,
        }
        resets_at = {Kind.DAY: time_of(decision.day_end), Kind.MINUTE: time_of(decision.minute_end)}
    jobs = job_counts_of(subject)
    if jobs is not None:
        used |= {JobKind.PARALLEL: jobs.running, JobKind.QUEUED: jobs.queued}
    return [
        Quota(kind, count, getattr(subject.limits, kind), resets_at.get(kind), source(kind))
        for kind, count in used.items()
    ]


def _hits(subject_id: str, now: int, watermark: int | None) -> Hits:
    """The period's hits: the booked minutes from SQL, those since from the store."""
    last_minute = now // 60
    first_minute = last_minute - HITS_PERIOD // MINUTE + 1
    # The watermark is read first: what is booked meanwhile is then counted once, from the store.
    if watermark is None:
        rows = BookedUntil.objects.filter(bucket=subjects.bucket_of(subject_id))
        watermark = rows.values_list("minute", flat=True).first() or 0
    booked_until = max(watermark, first_minute - 1)
    counts = counts_of(subject_id, range(booked_until + 1, last_minute + 1))
    unbooked = [
        Hit(minute_start(minute), route, outcome, n)
        for minute in sorted(counts, reverse=True)
        for (route, outcome), n in sorted(counts[minute].items())
        if outcome != ADMITTED
    ]
    booked = _booked_hits(subject_id, minute_start(first_minute), minute_start(booked_until))
    return Hits(
        booked.total + sum(hit.count for hit in unbooked),
        booked.by_the_ladder + sum(hit.count for hit in unbooked if hit.by_the_ladder),
        (unbooked + booked.newest)[:RECENT_HITS],
    )


def _booked_hits(subject_id: str, first: datetime, last: datetime) -> Hits:
    # The sums go over all of them, before the limit cuts off what isn't shown.
    rows = list(
        RateHit.objects.of_subject(subject_id)
        .between(first, last)
        .values_list(
            *("minute", "route", "kind", "count", "address", "user_agent"),
            Window(Sum("count")),
            Window(Sum("count", filter=Q(kind__in=BY_THE_LADDER))),
        )[:RECENT_HITS]
    )
    total, by_the_ladder = rows[0][6:] if rows else (0, 0)
    return Hits(total, by_the_ladder or 0, [Hit(*row[:6]) for row in rows])
