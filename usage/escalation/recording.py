"""Changes of the ladder, brought to SQL: the history, the newest state, the key's status, the mail owed.

A change may come twice, from the request that caused it and from its bucket's stream, and be recorded by two
processes at once: it is recorded once. An older one that comes late goes into the history and changes no
state; nor does any as long as an order of staff is on its way to the store, because that will be newer.
"""

from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from accounts.models import ApiKey
from usage import notices
from usage.escalation.ladder import DAY_BLOCK, SUSPENDED, Cause
from usage.limits.upkeep import Change
from usage.models import EscalationEvent, EscalationState, Notice
from usage.spans import time_of
from usage.subjects import bucket_of, key_id_of


def record(change: Change) -> None:
    """Record one change; gives back nothing and can be repeated."""
    with transaction.atomic():
        key = _locked_key(change.subject)
        if key is None and key_id_of(change.subject) is not None:
            return  # a key that was deleted: nobody is left to tell, nothing to hold
        state = locked_state(change.subject, key)
        _write_history(change, key)
        if change.version <= state.version:
            return
        if state.is_pending and change.order != state.order:
            return  # it came before an order of staff that the store hasn't heard yet, and is undone by it
        state.escalation = change.after
        state.until = moment(change.until)
        state.clean_since = moment(change.clean_since)
        state.grace_until = moment(change.grace_until)
        state.version = change.version
        state.changed_at = time_of(change.at)
        state.is_pending = False
        state.save()
        if key is not None:
            follow_status(key, change.after)


def locked_state(subject: str, key: ApiKey | None) -> EscalationState:
    """The subject's state, locked until the transaction ends; a new one stands on the ground."""
    state, _ = EscalationState.objects.select_for_update().get_or_create(
        subject=subject,
        defaults={"bucket": bucket_of(subject), "key": key, "changed_at": datetime.now(UTC)},
    )
    return state


def follow_status(key: ApiKey, escalation: int) -> None:
    """A key is suspended as long as it stands on the ladder's last step. A revoked one stays revoked."""
    if escalation == SUSPENDED and key.status == ApiKey.Status.ACTIVE:
        key.status = ApiKey.Status.SUSPENDED
    elif escalation != SUSPENDED and key.status == ApiKey.Status.SUSPENDED:
        key.status = ApiKey.Status.ACTIVE
    else:
        return
    key.save(update_fields=["status"])


def moment(seconds: int) -> datetime | None:
    """A time of the limit store's; `None` for its 0."""
    return time_of(seconds) if seconds else None


def _locked_key(subject: str) -> ApiKey | None:
    pk = key_id_of(subject)
    return None if pk is None else ApiKey.objects.select_for_update().filter(pk=pk).first()


def _write_history(change: Change, key: ApiKey | None) -> None:
    """Once; and with it, the mail. (Staff's orders were written when they were given.)"""
    facts: dict[str, Any] = {
        "served": change.served,
        "refused": change.refused,
        "minute_limit": change.minute_limit,
    }
    _, is_new = EscalationEvent.objects.get_or_create(
        event_id=change.order or change.id,
        defaults={
            **facts,
            "subject": change.subject,
            "key": key,
            "at": time_of(change.at),
            "cause": change.cause,
            "before": change.before,
            "after": change.after,
            "until": moment(change.until),
            "strikes": change.strikes,
            "minute": moment(change.minute * 60),
            "route": change.route,
        },
    )
    if not is_new or key is None or change.cause is not Cause.STRIKES:
        return
    if change.after == DAY_BLOCK:
        until = time_of(change.until).isoformat()
        facts |= {"until": until, "strikes": change.strikes}
        notices.owe(Notice.Kind.DAY_BLOCK, key, f"day_block:{change.id}", facts)
    elif change.after == SUSPENDED:
        facts |= {"by_staff": False, "reason": ""}
        notices.owe(Notice.Kind.SUSPENSION, key, f"suspension:{change.id}", facts)
