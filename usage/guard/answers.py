"""The guard's own answers: what a client gets that never reaches a view."""

import time
from typing import Any

from django.conf import settings

from accounts import api_keys
from accounts.client_address import Address
from accounts.endpoint_limits.limiter import EndpointLimitReached
from usage.endpoint_limits.hits import refusal_of
from usage.escalation.ladder import COOLDOWN, Ladder
from usage.limits import headers
from usage.limits.decision import Decision
from usage.limits.kinds import REFUSED_BY, Kind, Verdict
from usage.limits.refusals import Refusal, refusal
from usage.routes import ApiRoute
from usage.spans import time_of
from usage.subjects import Subject

# A store that is restarted is back within about that.
STORE_RETRY_SECONDS = 2

_WHY_REFUSED = {
    "key_revoked": "This key was revoked. Use another one, or create a new one in the panel.",
    "key_expired": "This key has expired. Create a new one in the panel.",
    "key_suspended": "This key is suspended until a person reactivates it: ask for that on its page, {url}",
}
_REPLACED = "This secret was replaced by {start}… and ended at {at:%Y-%m-%d %H:%M:%S} UTC. Use the new one."


def over_limit(route: ApiRoute, accept: str, subject: Subject, decision: Decision, ladder: Ladder) -> Refusal:
    """429 for a request that `decision` refused: over a limit, or blocked by the ladder."""
    retry_after = decision.retry_after
    kind: Kind | None = None
    if decision.verdict is Verdict.BLOCKED:
        code = "cooldown" if decision.escalation == COOLDOWN else "blocked"
        name = ladder.steps[decision.escalation].name
        end = time_of(decision.escalation_until)
        detail = (
            f"{name} after too many refused requests: requests that count are refused until "
            f"{end:%Y-%m-%d %H:%M:%S} UTC, {retry_after} s from now."
        )
    else:
        code, kind = "rate_limited", REFUSED_BY[decision.verdict]
        detail = _over(kind, decision)
    return refusal(
        code,
        detail,
        dialect=route.dialect,
        accept=accept,
        limit=kind,
        retry_after=retry_after,
        escalation=_escalation(subject, decision, ladder),
        headers=headers.of_decision(decision),
    )


def over_share(route: ApiRoute, accept: str, subject: Subject, retry_after: int) -> Refusal:
    """429 where this process alone counts, because the limit store is down."""
    return refusal(
        "rate_limited",
        f"{subject.limits.minute} requests per minute, fewer while limits are checked in a hurry; "
        f"the next window opens in {retry_after} s.",
        dialect=route.dialect,
        accept=accept,
        limit=Kind.MINUTE,
        retry_after=retry_after,
        headers=headers.of_limits(subject.limits),
    )


def _over(kind: Kind, decision: Decision) -> str:
    if kind is Kind.CONCURRENT:
        number, each, then = decision.limits.concurrent, "concurrent request", "one of them has to end first."
    else:
        number = decision.limits.minute if kind is Kind.MINUTE else decision.limits.day
        each, then = "request", f"the next window opens in {decision.retry_after} s."
    plural = "" if number == 1 else "s"
    per = "" if kind is Kind.CONCURRENT else f" per {kind}"
    return f"{number} {each}{plural}{per}; {then}"


def refused_key(route: ApiRoute, accept: str, key: str, subject: Subject | None) -> Refusal:
    """401 or 403 for a key that is malformed, unknown (no subject), revoked, expired or suspended."""
    if subject is not None and subject.replaced_at is not None:
        code = "key_expired"
        detail = _REPLACED.format(start=subject.key_start, at=time_of(int(subject.replaced_at)))
    elif subject is not None and subject.refusal is not None:
        code, detail = subject.refusal, _WHY_REFUSED[subject.refusal].format(url=explain_url(subject))
    else:
        code, detail = "invalid_key", _why_invalid(key)
    return refusal(
        code,
        detail,
        dialect=route.dialect,
        accept=accept,
        headers=headers.of_nobody(int(time.time())),
    )


def from_elsewhere(route: ApiRoute, accept: str, address: Address) -> Refusal:
    """403 for a good key that came from an address which its allow-list hasn't."""
    return refusal(
        "ip_not_allowed",
        f"This key's allow-list doesn't have your address, {address}. Its owner can add it in the panel.",
        dialect=route.dialect,
        accept=accept,
        headers=headers.of_nobody(int(time.time())),
    )


def over_endpoint_limit(route: ApiRoute, accept: str, reached: EndpointLimitReached) -> Refusal:
    """429 instead of `refused_key`'s 401 for an address that presents too many keys that we don't know."""
    return refusal_of(
        reached, dialect=route.dialect, accept=accept, headers=headers.of_nobody(int(time.time()))
    )


def limits_unavailable(
    route: ApiRoute, accept: str, subject: Subject | None, retry_after: int = STORE_RETRY_SECONDS
) -> Refusal:
    """503 where nobody can tell whether the request is within its limits, or (no subject) whose it is."""
    return refusal(
        "limits_unavailable",
        f"Limits can't be checked right now. Try again in {retry_after} s.",
        dialect=route.dialect,
        accept=accept,
        retry_after=retry_after,
        headers=headers.of_limits(subject.limits) if subject is not None else {},
    )


def _why_invalid(key: str) -> str:
    if not key:
        return "Send the key as “Authorization: Bearer KEY” or “X-Api-Key: KEY”."
    if api_keys.is_well_formed(key):
        return "There is no such key."
    return "This is not one of our keys: it starts with “koala_”, and its last characters check the others."


def explain_url(subject: Subject) -> str:
    """The page on which the subject's owner sees why."""
    url: str = settings.BASE_URL + "/usage/"
    return f"{url}?key={subject.key_start}" if subject.key_start else url


def _escalation(subject: Subject, decision: Decision, ladder: Ladder) -> dict[str, Any]:
    needed = ladder.strikes_above(decision.escalation, subject.id)
    return {
        "tier": decision.escalation,
        "until": decision.escalation_until if decision.is_blocked else None,
        # Nothing leads on for an address where staff end its ladder at tier 1.
        "strikes_to_next_tier": max(0, needed - decision.strikes) if needed else None,
        "explain_url": explain_url(subject),
    }
