"""How a subject stands right now: what it used, what was refused, where it is on the ladder.

The numbers come from the counters that enforce, so a page agrees with what the limiter will do next.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import redis

from accounts.models import ApiKey
from usage import subjects
from usage.escalation import history
from usage.escalation.footing import Footing, Reason, footing_of, remembered_footing
from usage.escalation.history import Happening
from usage.escalation.ladder import WARNED, Ladder
from usage.escalation.policy import read_ladder
from usage.hits import HITS_PERIOD, Hits, booked_hits, recent_hits
from usage.job_counts import job_counts_of
from usage.limits.decision import Decision
from usage.limits.kinds import JobKind, Kind
from usage.limits.link import LimitStoreDown
from usage.limits.store import limit_store
from usage.limits.upkeep import trace_of
from usage.models import EscalationEvent
from usage.spans import time_of
from usage.subjects import Subject

NEAR = 80  # per cent of a limit from which a quota counts as nearly used up
RECENT_CHANGES = 20


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

    def source(kind: str) -> str:
        if kind not in key.overrides:
            return f"{key.tier.name} tier"
        of_tier = getattr(key.tier.limits, kind)
        instead = "has no limit" if of_tier is None else f"has {of_tier:,}"
        return f"this key's override; the {key.tier.name} tier {instead}"

    return standing_of(subjects.of_key(key), source)


def standing_of(
    subject: Subject, source: Callable[[str], str] = lambda kind: "", booked_until: int | None = None
) -> Standing:
    """The subject's standing by the limits it has; five queries and three round trips.

    `source` tells where a limit's number comes from. `booked_until` is its bucket's watermark, if the caller
    has read it before: one query less.
    """
    ladder = read_ladder()
    events = list(EscalationEvent.objects.of_subject(subject.id)[:RECENT_CHANGES])
    try:
        decision = limit_store().look(subject)
        trace = trace_of(limit_store(), subject.id)
        hits = recent_hits(subject.id, decision.now, booked_until)
    except (LimitStoreDown, redis.RedisError):
        now = datetime.now(UTC)
        return Standing(
            quotas=_quotas(subject, None, source),
            hits=booked_hits(subject.id, now - HITS_PERIOD, now),
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
