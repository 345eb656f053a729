"""What whoever asks may do, how much of that is used, and what is left."""

from collections.abc import Container
from datetime import UTC, datetime

from django.conf import settings

from accounts.models import ApiKey
from images.models import AccountQueue
from images.models.account_queue import queue_id_of
from images.queue.pool import pool
from images.schemas import Entitlement, Entitlements, EntitlementsByLimit, EscalationNow, Uploads
from images.uploads import MOST_FILES
from usage.limits.decision import Decision
from usage.limits.link import LimitStoreDown
from usage.limits.store import limit_store
from usage.spans import time_of
from usage.subjects import Subject


def entitlements_of(subject: Subject) -> Entitlements:
    """By the limits that the guard decides by. Two queries, one of them for a key alone, and a round trip;
    a third query in a second, by which this process knows how much waits.

    While the limit store is away, what only it knows is `None`.
    """
    queue = AccountQueue.objects.filter(pk=queue_id_of(subject)).first() or AccountQueue()
    overrides = _overrides_of(subject)
    try:
        decision = limit_store().look(subject)
    except LimitStoreDown:
        decision = None
    return Entitlements(
        now=datetime.now(UTC) if decision is None else time_of(decision.now),
        live=decision is not None,
        key=subject.key_start or None,
        tier=subject.tier,
        rehearsal=subject.is_rehearsal,
        limits=_by_limit(subject, overrides, decision, queue),
        escalation=None if decision is None else _escalation(decision),
        uploads=Uploads(
            max_bytes=settings.UPLOAD_MAX_BYTES,
            max_pixels=settings.IMAGE_MAX_PIXELS,
            max_files=MOST_FILES,
        ),
        accepts_jobs=pool.has_room_for(1),
    )


def _by_limit(
    subject: Subject, overrides: Container[str], decision: Decision | None, queue: AccountQueue
) -> EntitlementsByLimit:
    def entitlement(kind: str, used: int | None, resets_at: datetime | None = None) -> Entitlement:
        limit: int | None = getattr(subject.limits, kind)
        return Entitlement(
            limit=limit,
            source="override" if kind in overrides else "tier",
            used=used,
            left=None if limit is None or used is None else max(0, limit - used),
            resets_at=resets_at,
        )

    running, queued = entitlement("parallel", queue.running), entitlement("queued", queue.queued)
    if decision is None:
        unknown = {kind: entitlement(kind, None) for kind in ("minute", "day", "concurrent")}
        return EntitlementsByLimit(**unknown, parallel=running, queued=queued)
    return EntitlementsByLimit(
        minute=entitlement("minute", decision.minute_count, time_of(decision.minute_end)),
        day=entitlement("day", decision.day_count, time_of(decision.day_end)),
        concurrent=entitlement("concurrent", decision.in_flight),
        parallel=running,
        queued=queued,
    )


def _overrides_of(subject: Subject) -> Container[str]:
    """The kinds of limits that are the key's own; of a key that was deleted this moment, none."""
    key = ApiKey.objects.filter(pk=subject.key_id).first() if subject.key_id is not None else None
    return key.overrides if key is not None else ()


def _escalation(decision: Decision) -> EscalationNow:
    return EscalationNow(
        tier=decision.escalation,
        name=limit_store().ladder.steps[decision.escalation].name,
        until=time_of(decision.escalation_until) if decision.is_blocked else None,
    )
