"""Staff suspend a key, or let it go again: SQL first, then the limit store, which every process asks.

If the store can't be told at once, the worker tells it as soon as it can be reached.
"""

import contextlib
import logging
import secrets
from datetime import datetime, timedelta
from typing import Any

import redis
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import ApiKey, User
from accounts.snapshots import difference
from usage import notices
from usage.escalation.following import follow_changes
from usage.escalation.ladder import GUEST_PREFIX, SUSPENDED, Cause, Ladder
from usage.escalation.policy import read_ladder
from usage.escalation.recording import follow_status, locked_state
from usage.limits import upkeep
from usage.limits.store import LimitStore, limit_store
from usage.models import EscalationEvent, EscalationState, Notice, ReactivationRequest
from usage.spans import time_of
from usage.subjects import key_subject_id

logger = logging.getLogger(__name__)


class NotPossible(Exception):
    """What was asked for can't be done; the message says why."""


def suspend(key: ApiKey, *, by: User | None, reason: str) -> None:
    """Refuse the key until a person reactivates it. `by` is `None` for a command at the machine itself.

    Raises `NotPossible`.
    """
    reason = _given(reason)
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().get(pk=key.pk)
        if key.status == ApiKey.Status.REVOKED:
            raise NotPossible("This key is revoked: it is refused for good.")
        if key.status == ApiKey.Status.SUSPENDED:
            raise NotPossible("This key is suspended already.")
        event = _order(key_subject_id(key.pk), key, Cause.SUSPENDED, SUSPENDED, 0, by, reason)
        notices.owe(
            Notice.Kind.SUSPENSION,
            key,
            f"suspension:{event.event_id}",
            {"by_staff": True, "reason": reason, "served": 0, "refused": 0, "minute_limit": None},
        )


def reactivate(key: ApiKey, *, by: User | None, reason: str, clean: bool = False) -> int:
    """Let a suspended or blocked key go on: on probation, the ladder's tier for that remembered, or clean.

    Gives the escalation tier it now has. Nothing strikes in the moment of grace that follows.
    Raises `NotPossible`.
    """
    reason = _given(reason)
    ladder = read_ladder()
    with contextlib.suppress(redis.RedisError):
        follow_changes(limit_store())  # a block may be seconds old, and not in SQL yet
    with transaction.atomic():
        return let_go(ApiKey.objects.select_for_update().get(pk=key.pk), ladder, by, reason, clean)


def let_go(key: ApiKey, ladder: Ladder, by: User | None, reason: str, clean: bool) -> int:
    """As `reactivate`, for a key that the caller's transaction has locked."""
    if key.status == ApiKey.Status.REVOKED:
        raise NotPossible("This key is revoked, and stays so. Issue a new one.")
    state = locked_state(key_subject_id(key.pk), key)
    is_suspended = key.status == ApiKey.Status.SUSPENDED or state.escalation == SUSPENDED
    if not is_suspended and not (state.until and state.until > _now()):
        raise NotPossible("This key is neither suspended nor blocked: there is nothing to lift.")
    escalation = 0 if clean else ladder.on_probation(state.escalation or SUSPENDED)
    event = _order(state.subject, key, Cause.REACTIVATED, escalation, ladder.grace_seconds, by, reason)
    answer_whoever_asked(key, ReactivationRequest.Status.REACTIVATED, by, reason)
    notices.owe(
        Notice.Kind.REACTIVATION,
        key,
        f"reactivation:{event.event_id}",
        {
            "on_probation": not clean,
            "reason": reason,
            "grace_seconds": ladder.grace_seconds,
            "escalation": escalation,
        },
    )
    return escalation


def lift(network: str, *, by: User | None, reason: str, clean: bool = False) -> int:
    """Let a blocked address go on, as `reactivate` does a key; nobody is told by mail.

    Gives the escalation tier it now has. Raises `NotPossible`.
    """
    reason = _given(reason)
    ladder = read_ladder()
    with contextlib.suppress(redis.RedisError):
        follow_changes(limit_store())
    with transaction.atomic():
        state = locked_state(f"{GUEST_PREFIX}{network}", None)
        if not (state.until and state.until > _now()):
            raise NotPossible("This address is not blocked: there is nothing to lift.")
        escalation = 0 if clean else ladder.on_probation(state.escalation)
        _order(state.subject, None, Cause.REACTIVATED, escalation, ladder.grace_seconds, by, reason)
    return escalation


def keep_suspended(key: ApiKey, by: User, reason: str) -> None:
    """Answer a request with no, for a key that the caller's transaction has locked; its owner may ask again.

    Raises `NotPossible`.
    """
    reason = _given(reason)
    asked = ReactivationRequest.objects.waiting().filter(key=key).first()
    if key.status != ApiKey.Status.SUSPENDED:
        raise NotPossible("This key isn't suspended any more.")
    if asked is None:
        raise NotPossible("Nobody waits for an answer about this key, and it is suspended as it is.")
    answer_whoever_asked(key, ReactivationRequest.Status.KEPT, by, reason)
    audit.record("kept suspended", key, by=by, reason=reason)
    notices.owe(Notice.Kind.SUSPENSION_KEPT, key, f"suspension_kept:{asked.pk}", {"reason": reason})


def answer_whoever_asked(key: ApiKey, status: str, by: User | None, answer: str) -> None:
    """A request that waits is settled, whichever way the key was decided about."""
    ReactivationRequest.objects.settle(key, status, by=by, answer=answer, at=_now())


def tell(store: LimitStore, state: EscalationState) -> bool:
    """Carry a pending order out in the limit store, once; gives whether the store has heard it."""
    try:
        version = _place(store, state)
        if version is None and store.memory is not None:
            # Another process may be building the bucket from what SQL said before this order. Whichever of
            # us is done first, the order then comes after it.
            store.memory.build(store, state.bucket)
            version = _place(store, state)
    except redis.RedisError as error:
        logger.warning("The limit store was not told of %s; the worker will: %s", state, error)
        return False
    if version is None:
        return False
    EscalationState.objects.filter(pk=state.pk, order=state.order).update(
        is_pending=False, version=max(version, state.version)
    )
    return True


def tell_pending(store: LimitStore) -> int:
    """Tell the store the orders that it hasn't heard; gives how many it has now heard."""
    return sum(tell(store, state) for state in EscalationState.objects.filter(is_pending=True))


def _place(store: LimitStore, state: EscalationState) -> int | None:
    event = EscalationEvent.objects.filter(event_id=state.order).first()
    reactivated = event is None or event.cause == EscalationEvent.Cause.REACTIVATED
    return upkeep.place(
        store,
        state.subject,
        order=state.order,
        cause=Cause.REACTIVATED if reactivated else Cause.SUSPENDED,
        escalation=state.escalation,
        grace=read_ladder().grace_seconds if reactivated else 0,
        version=state.version,
    )


def _order(
    subject: str, key: ApiKey | None, cause: Cause, escalation: int, grace: int, by: User | None, reason: str
) -> EscalationEvent:
    """Write it down, in the caller's transaction, and have the store told when that is over."""
    now = _now()
    state = locked_state(subject, key)
    before = _standing(key, state)
    event = EscalationEvent.objects.create(
        event_id=f"staff:{secrets.token_hex(12)}",
        subject=state.subject,
        key=key,
        at=now,
        cause=cause,
        before=state.escalation,
        after=escalation,
        by=by,
        reason=reason,
    )
    state.escalation, state.until = escalation, None
    state.clean_since, state.changed_at = now, now
    state.grace_until = now + timedelta(seconds=grace) if grace else None
    state.version = max(state.version + 1, int(now.timestamp()))
    state.order, state.is_pending = event.event_id, True
    state.save()
    if key is not None:
        follow_status(key, escalation)
    what = "suspended" if cause is Cause.SUSPENDED else "reactivated"
    was, became = difference(before, _standing(key, state))
    audit.record(what, key or state, by=by, before=was, after=became, reason=reason)
    transaction.on_commit(lambda: tell(limit_store(), state))
    return event


def _standing(key: ApiKey | None, state: EscalationState) -> dict[str, Any]:
    """What an order of staff changes, as the audit log has it."""
    return {
        **({} if key is None else {"status": str(key.status)}),
        "escalation": state.escalation,
        "blocked_until": None if state.until is None else state.until.isoformat(),
    }


def _now() -> datetime:
    """On the limit store's clock, by which blocks end; on our own while it can't be asked."""
    try:
        return time_of(limit_store().now())
    except redis.RedisError:
        return timezone.now()


def _given(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise NotPossible("A reason is required: the key's owner and your colleagues will read it.")
    return reason
