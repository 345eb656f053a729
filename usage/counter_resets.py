"""Staff set a subject's counters back, or take back the leases of requests in flight: what enforces, at once.

What was served stays in the books. Only the limits forget it (docs/decisions/0028).
"""

import logging
from uuid import UUID

import redis
from django.db import transaction

from accounts import audit
from accounts.models import ApiKey, User
from usage.escalation.reactivation import NotPossible
from usage.escalation.recording import locked_state
from usage.limits.resetting import ALL_LEASES, Found, reset
from usage.limits.store import limit_store
from usage.models import CounterReset, EscalationState
from usage.spans import DAY_SECONDS, time_of
from usage.subjects import bucket_of, key_id_of

logger = logging.getLogger(__name__)

MINUTE, DAY, STRIKES = COUNTERS = ("minute", "day", "strikes")
AWAY = (
    "The limit store, which counts, can't be asked just now, so nothing was done. Try again once it is back."
)


@transaction.atomic
def reset_counters(
    subject: str, *, by: User, reason: str, order: UUID, counters: tuple[str, ...]
) -> Found | None:
    """Set some of `COUNTERS` back to nothing. `order` names the form, which does it once if sent twice.

    Gives what was counted until then, or `None` if the order was carried out before. Raises `NotPossible`.
    """
    target = _locked(subject)
    if CounterReset.objects.filter(order=order).exists():
        return None
    found = _ask(subject, order, minute=MINUTE in counters, day=DAY in counters, strikes=STRIKES in counters)
    before: dict[str, int] = {}
    if MINUTE in counters:
        before["minute"] = found.minute
    if DAY in counters:
        before["day"] = found.day
    if STRIKES in counters:
        before |= {"strikes": found.strikes, "refusals": found.refusals, "warned": found.last_refusal > 0}
    if not any(before.values()):
        raise NotPossible("There was nothing to reset: what you chose stood at nothing already.")
    _remember(subject, order, found, forgiven=before.get("day", 0))
    after = {name: type(count)() for name, count in before.items()}
    audit.record("reset counters", target, by=by, before=before, after=after, reason=reason)
    return found


@transaction.atomic
def release_leases(subject: str, *, by: User, reason: str, order: UUID, lease: str = ALL_LEASES) -> int:
    """Take back a lease, or all that there are: their places are free at once, their requests go on.

    Gives how many; 0 if the order was carried out before. Raises `NotPossible`.
    """
    target = _locked(subject)
    if CounterReset.objects.filter(order=order).exists():
        return 0
    found = _ask(subject, order, lease=lease)
    if not found.released:
        raise NotPossible("There was nothing to release: the request has ended meanwhile.")
    _remember(subject, order, found)
    audit.record(
        "released leases",
        target,
        by=by,
        before={"in_flight": found.in_flight},
        after={"in_flight": found.in_flight - found.released},
        reason=reason,
    )
    return found.released


def _locked(subject: str) -> ApiKey | EscalationState:
    """Whom the audit log names, which nobody else changes until the transaction's end."""
    key_id = key_id_of(subject)
    if key_id is None:
        return locked_state(subject, None)
    return ApiKey.objects.select_for_update(no_key=True).get(pk=key_id)


def _ask(
    subject: str,
    order: UUID,
    *,
    minute: bool = False,
    day: bool = False,
    strikes: bool = False,
    lease: str = "",
) -> Found:
    """Within the transaction, so that nothing is done that isn't written down: should SQL fail after it, the
    same form finds what the store did for it, and writes that."""
    store = limit_store()
    try:
        for _ in range(2):
            found = reset(
                store, subject, order=order.hex, minute=minute, day=day, strikes=strikes, lease=lease
            )
            if found is not None:
                return found
            if store.memory is not None:
                store.memory.build(store, bucket_of(subject))
    except redis.RedisError as error:
        logger.warning("The limit store was not told to set %s back: %s", subject, error)
    raise NotPossible(AWAY)


def _remember(subject: str, order: UUID, found: Found, forgiven: int = 0) -> None:
    CounterReset.objects.create(
        order=order,
        subject=subject,
        bucket=bucket_of(subject),
        day=time_of(found.at - found.at % DAY_SECONDS),
        forgiven=forgiven,
    )
