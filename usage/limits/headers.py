"""The rate-limit headers of a response.

`X-RateLimit-*` are the convention most clients know; `RateLimit-Policy` and `RateLimit` follow the draft
named in `usage.limits.draft` (structured fields, RFC 9651).
"""

from functools import lru_cache

from accounts.tiers import Limits
from usage.limits import draft
from usage.limits.decision import Decision
from usage.limits.kinds import Verdict
from usage.spans import DAY_SECONDS, MINUTE_SECONDS

NO_ALLOCATION = Limits(minute=0, day=None, concurrent=None, parallel=None, queued=None)


def of_decision(decision: Decision) -> dict[str, str]:
    """All five headers; those that would describe a limit the subject doesn't have are left out."""
    # Written out rather than looped over: this runs for every request.
    limits, now = decision.limits, decision.now
    minute, day, concurrent, _, _ = limits
    minute_reset = MINUTE_SECONDS - now % MINUTE_SECONDS
    state = ""
    if minute is not None:
        remaining, reset = max(0, minute - decision.minute_count), minute_reset
        state = f', "minute";r={remaining};t={minute_reset}'
    if day is not None:
        day_left = max(0, day - decision.day_count)
        day_reset = DAY_SECONDS - now % DAY_SECONDS
        if minute is None or day_left == 0:
            remaining, reset = day_left, day_reset
        elif day_left < remaining:
            remaining = day_left
        state += f', "day";r={day_left};t={day_reset}'
    if concurrent is not None:
        state += f', "concurrent";r={max(0, concurrent - decision.in_flight)}'
    if decision.is_blocked:
        remaining, reset = 0, decision.escalation_until - now
    if not state:
        return {}
    described = {"RateLimit-Policy": policy(limits), "RateLimit": state[2:]}
    if minute is None and day is None:
        return described
    return {
        "X-RateLimit-Limit": str(day if minute is None else minute),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(now + reset),
        **described,
    }


def of_limits(limits: Limits) -> dict[str, str]:
    """What can be said while the limit store is down: the allocation, and nothing guessed of its state."""
    headers: dict[str, str] = {}
    allocation = limits.day if limits.minute is None else limits.minute
    if allocation is not None:
        headers["X-RateLimit-Limit"] = str(allocation)
    if described := policy(limits):
        headers["RateLimit-Policy"] = described
    return headers


def of_full(limits: Limits, now: int) -> dict[str, str]:
    """For who was charged for nothing yet, at `now` in Unix seconds."""
    return of_decision(
        Decision(verdict=Verdict.ADMITTED, limits=limits, now=now, minute_count=0, day_count=0, in_flight=0)
    )


def of_nobody(now: int) -> dict[str, str]:
    """For a request that presents a key we don't take: its allocation is nothing, and stays so."""
    return of_full(NO_ALLOCATION, now)


@lru_cache(maxsize=1024)
def policy(limits: Limits) -> str:
    """`RateLimit-Policy` of the limits in force; the same for every request, so it is made once."""
    items = []
    if limits.minute is not None:
        items.append(f'"minute";q={limits.minute};w={MINUTE_SECONDS}')
    if limits.day is not None:
        items.append(f'"day";q={limits.day};w={DAY_SECONDS}')
    if limits.concurrent is not None:
        items.append(f'"concurrent";q={limits.concurrent};qu="{draft.CONCURRENT_UNIT}"')
    return ", ".join(items)
