"""Is a key good? For the provider's other services, which are shown one and don't know it."""

import time
from dataclasses import dataclass
from datetime import datetime

from accounts import api_keys
from accounts.client_address import Address
from usage import subjects
from usage.guard.used_secrets import used_secrets
from usage.limits.decision import Decision
from usage.limits.kinds import Verdict
from usage.limits.link import LimitStoreDown
from usage.limits.outcomes import ELSEWHERE
from usage.limits.store import limit_store
from usage.spans import time_of
from usage.subjects import SUSPENSION, Subject

_STATUSES = {"key_revoked": "revoked", "key_expired": "expired", SUSPENSION: "suspended"}


@dataclass(frozen=True, slots=True)
class Validity:
    """What is known of a presented key, and nothing of who owns it.

    `code` is why it isn't good, as a refusal would say it. `status` is the key's own, wherever it came from:
    `active`, `blocked`, `suspended`, `expired` or `revoked`. All of it is `None` for a key that we don't
    know, and `escalation` while the limit store can't be asked.
    """

    code: str | None
    status: str | None = None
    tier: str | None = None
    start: str | None = None
    expires_at: datetime | None = None
    escalation: int | None = None
    blocked_until: datetime | None = None
    is_rehearsal: bool | None = None

    @property
    def is_valid(self) -> bool:
        return self.code is None


def validity_of(text: str, address: Address | None) -> Validity:
    """Of a key with this text, presented from `address` (`None`: nobody says from where).

    One query and one round trip. A blocked key is good: its owner may use it for what isn't charged, and
    when the block is over for everything. Raises what SQL raises.
    """
    secret = api_keys.find_secret(text)
    if secret is None:
        return Validity("invalid_key")
    subject = subjects.of_secret(secret)
    decision = _decision(subject) if subject.refusal in (None, SUSPENSION) else None
    refusal = subject.refusal
    if refusal is None and decision is not None and decision.verdict is Verdict.SUSPENDED:
        refusal = SUSPENSION  # SQL will hear of it
    is_blocked = refusal is None and decision is not None and decision.is_blocked
    is_elsewhere = refusal is None and address is not None and not subject.is_allowed_from(address)
    if refusal is None and not is_elsewhere:
        used_secrets().note(secret.pk, int(time.time()))
    ends = [at for at in (secret.key.expires_at, secret.retires_at) if at is not None]
    return Validity(
        code=ELSEWHERE if is_elsewhere else refusal,
        status=_STATUSES.get(refusal or "", "blocked" if is_blocked else "active"),
        tier=subject.tier,
        start=secret.start,
        expires_at=min(ends, default=None),
        escalation=None if decision is None else decision.escalation,
        blocked_until=time_of(decision.escalation_until) if is_blocked and decision is not None else None,
        is_rehearsal=subject.is_rehearsal,
    )


def _decision(subject: Subject) -> Decision | None:
    try:
        return limit_store().look(subject)
    except LimitStoreDown:
        return None
