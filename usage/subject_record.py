"""All that staff see of one subject: who it is, its effective limits, the live counters, what happened."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis
from django.db.models import QuerySet, Subquery, TextField
from django.db.models.functions import Cast
from django.http import Http404
from django.utils import timezone

from accounts.keys.facts import KeyFacts
from accounts.keys.status import Status, status_of
from accounts.models import ApiKey, AuditEntry, Tier
from usage import subjects
from usage.books.watermark import booked_until_in_sql
from usage.escalation.ladder import GUEST_PREFIX, SUSPENDED
from usage.limits.kinds import JobKind, Kind
from usage.limits.resetting import Counters, counters_of
from usage.limits.store import limit_store
from usage.models import EscalationState
from usage.spans import time_of
from usage.standing import Quota, Standing, standing_of
from usage.subject_rows import guest_status, keys_for_rows
from usage.subjects import Subject, key_id_of

LEASES_SHOWN = 20
ENTRIES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class EffectiveLimit:
    """One limit: the tier's number, the key's own if it has one, and how much of the one in force is used."""

    quota: Quota
    of_tier: int | None
    override: int | None

    @property
    def is_overridden(self) -> bool:
        return self.override is not None


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A request in flight, as pages tell of it."""

    id: str
    since: datetime
    expires: datetime

    @property
    def short(self) -> str:
        return self.id if len(self.id) <= 12 else f"{self.id[:4]}…{self.id[-6:]}"


@dataclass(frozen=True, slots=True)
class Record:
    """A subject at one moment. Of a key `key` has its owner and tier; of a guest `network` says who it is.

    `counters` is `None` while the limit store can't be asked.
    """

    subject: Subject
    tier: Tier
    standing: Standing
    counters: Counters | None
    key: ApiKey | None = None
    network: str = ""

    @property
    def status(self) -> Status:
        if self.key is None:
            return guest_status(self._facts)
        rotating: datetime | None = self.key.rotating_until  # type: ignore[attr-defined]  # annotated
        return status_of(self.key, self._facts, rotating, self.standing.now)

    @property
    def limits(self) -> list[EffectiveLimit]:
        """In the order of a tier's."""
        own = {} if self.key is None else self.key.overrides
        quotas = {quota.kind: quota for quota in self.standing.quotas}
        return [
            EffectiveLimit(quotas[kind], getattr(self.tier, kind), own.get(kind))
            for kind in (*Kind, *JobKind)
            if kind in quotas
        ]

    @property
    def leases(self) -> list[HeldLease]:
        """Those that end first."""
        held = [] if self.counters is None else self.counters.leases
        return [HeldLease(lease.id, time_of(lease.since), time_of(lease.expires)) for lease in held]

    @property
    def clean_since(self) -> datetime | None:
        """From when on the tier that is remembered decays."""
        footing = self.standing.footing
        since = footing.trace.clean_since
        return time_of(since) if footing.is_remembered and since else None

    @property
    def is_blocked(self) -> bool:
        """For a time, whatever its windows have left."""
        return self.standing.footing.blocked_until is not None

    @property
    def is_revoked(self) -> bool:
        return self.key is not None and self.key.status == ApiKey.Status.REVOKED

    @property
    def is_suspended(self) -> bool:
        return self.key is not None and self.key.status == ApiKey.Status.SUSPENDED

    @property
    def can_go_on_by_staff(self) -> bool:
        """Whether there is a suspension or a block to lift."""
        return not self.is_revoked and (self.is_suspended or self.is_blocked)

    @property
    def entries(self) -> QuerySet[AuditEntry]:
        """What was done to it, the newest first: one query."""
        if self.key is not None:
            return AuditEntry.objects.about(self.key)[:ENTRIES_SHOWN]
        state = EscalationState.objects.of_subject(self.subject.id).values(text=Cast("pk", TextField()))
        label = EscalationState._meta.label_lower
        return AuditEntry.objects.filter(target_type=label, target_id=Subquery(state[:1]))[:ENTRIES_SHOWN]

    @property
    def _facts(self) -> KeyFacts | None:
        if not self.standing.live:
            return None
        footing = self.standing.footing
        day = next(quota for quota in self.standing.quotas if quota.kind == "day")
        until = footing.blocked_until if footing.escalation < SUSPENDED else None
        return KeyFacts(footing.name, until, day.used or 0, day.limit)


def record_of(subject_id: str) -> Record:
    """As it is now: six queries and four round trips. Raises `Http404` for a key that isn't there."""
    until = {"booked_until": booked_until_in_sql(subject_id)}
    key_id = key_id_of(subject_id)
    if key_id is None:
        tier = Tier.objects.annotate(**until).get(slug=Tier.ANONYMOUS)
        network = subject_id.removeprefix(GUEST_PREFIX)
        subject = subjects.of_network(network, tier)
        standing = standing_of(subject, booked_until=tier.booked_until)  # type: ignore[attr-defined]
        return Record(subject, tier, standing, _counters(subject_id, standing), network=network)
    key: Any = keys_for_rows(timezone.now()).annotate(**until).filter(pk=key_id).first()
    if key is None:
        raise Http404("There is no such key.")
    subject = subjects.of_key(key)
    standing = standing_of(subject, booked_until=key.booked_until)
    return Record(subject, key.tier, standing, _counters(subject_id, standing), key=key)


def _counters(subject_id: str, standing: Standing) -> Counters | None:
    if not standing.live:
        return None
    try:
        return counters_of(limit_store(), subject_id, int(standing.now.timestamp()), LEASES_SHOWN)
    except redis.RedisError:
        return None
