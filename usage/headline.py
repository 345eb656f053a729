"""How a key stands, in words: the strip at the top of the usage page."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.text import Truncator

from accounts.models import ApiKey
from usage.escalation.footing import Footing
from usage.escalation.ladder import COOLDOWN, WARNED
from usage.limits.kinds import JobKind
from usage.standing import Quota, Standing

REVOKED = "It is refused for good: give its clients another one."
EXPIRED = "It is past its date, and refused: give its clients another one."
CLIMBED = "It climbed the whole ladder and is refused."
SUSPENDED = "It is refused."
HOW_TO_RETURN = "To have it reactivated, say what you have changed."
UNKNOWN = "the counters can't be read right now."
BLOCKED = "Requests that count are refused. Job polling and downloads still work."
REFUSED_LATELY = "requests over a limit were refused lately."
PROBATION = "staff reactivated this key, and its tier is remembered for a while."
BLOCK_IS_OVER = "the block is over, but its tier is remembered for a while."
CLEAR = "Every limit of this key has room."
BUSY = "As many jobs run as may at once; what waits is next."

DROPS = "it drops by one"
LONGEST_REASON = 200  # characters; the ladder below has all of it

# A full limit's sentence and the one that warns of it. The limit's end is shown beside it.
USED_UP = {
    "minute": "this minute's requests are used up.",
    "day": "today's requests are used up.",
    "concurrent": "as many requests are in flight as may be at once.",
    "queued": "the queue of jobs is full.",
}
ALMOST = {
    "minute": "this minute's requests are almost used up.",
    "day": "today's requests are almost used up.",
    "concurrent": "almost as many requests are in flight as may be at once.",
    "queued": "the queue of jobs is almost full.",
}


@dataclass(frozen=True, slots=True)
class Headline:
    """`level` is `ok`, `near`, `full` or `unknown`; `until` is when it is over, where that is known, and
    `then` says what happens at that time.

    A key that is refused is called by its name: then `title` is what follows "Key prod …", and `until` is
    part of that sentence.
    """

    level: str
    title: str
    detail: str
    until: datetime | None = None
    then: str = "until"
    names_the_key: bool = False


def headline_of(key: ApiKey, standing: Standing) -> Headline:
    """The one thing to know first: a key that is refused, then limits that are full, then those near it.

    What SQL knows is said without the limit store, too.
    """
    footing = standing.footing
    if key.status == ApiKey.Status.REVOKED:
        return _refused("is revoked", REVOKED)
    if footing.is_suspended:
        return _suspended(footing)
    if key.has_expired:
        return _refused("has expired", EXPIRED)
    if footing.blocked_until is not None:
        title = "is cooling down" if footing.escalation == COOLDOWN else "is blocked"
        return _refused(title, BLOCKED, footing.blocked_until)
    if not standing.live:
        return Headline("unknown", "Unknown:", UNKNOWN)
    if full := _longest(standing.quotas, "full"):
        return Headline("full", "Limit reached:", USED_UP[full.kind], full.resets_at)
    if footing.is_remembered:
        title, detail = (
            ("On probation:", PROBATION) if footing.was_reactivated else ("Warned:", BLOCK_IS_OVER)
        )
        return Headline("near", title, detail, footing.eases_at, DROPS)
    if near := _longest(standing.quotas, "near"):
        return Headline("near", "Warned:", ALMOST[near.kind], near.resets_at)
    if footing.escalation == WARNED:
        return Headline("near", "Warned:", REFUSED_LATELY, footing.eases_at)
    is_busy = any(quota.kind is JobKind.PARALLEL and quota.level == "full" for quota in standing.quotas)
    return Headline("ok", "All clear.", BUSY if is_busy else CLEAR)


def _refused(title: str, detail: str, until: datetime | None = None) -> Headline:
    return Headline("full", title, detail, until, names_the_key=True)


def _suspended(footing: Footing) -> Headline:
    if footing.was_suspended_by_staff and footing.came_by is not None:
        reason = Truncator(footing.came_by.reason).chars(LONGEST_REASON)
        return _refused("is suspended by staff", f"“{reason}” {HOW_TO_RETURN}")
    return _refused("is suspended", f"{CLIMBED if footing.came_by else SUSPENDED} {HOW_TO_RETURN}")


def _longest(quotas: list[Quota], level: str) -> Quota | None:
    """The quota that stays at `level` for longest: the day before the minute before the queue before the
    concurrency. Not that of running jobs, which refuses nothing: the next ones wait."""
    order = ("day", "minute", "queued", "concurrent")
    found = [quota for quota in quotas if quota.level == level and quota.kind in order]
    return min(found, key=lambda quota: order.index(quota.kind), default=None)
