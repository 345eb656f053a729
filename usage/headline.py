"""How a key stands, in words: the strip at the top of the usage page."""

from dataclasses import dataclass
from datetime import datetime

from accounts.models import ApiKey
from usage.standing import Quota, Standing

SUSPENSION = 5

REVOKED = "this key is refused for good. Give its clients another one."
SUSPENDED = "this key is refused until the people who run this panel reactivate it."
EXPIRED = "this key is past its date. Give its clients another one."
UNKNOWN = "the counters can't be read right now."
BLOCKED = "requests that count are refused. Job polling and downloads still work."
REFUSED_LATELY = "requests over a limit were refused lately."
CLEAR = "Every limit of this key has room."

# A full limit's sentence and the one that warns of it. The limit's end is shown beside it.
USED_UP = {
    "minute": "this minute's requests are used up.",
    "day": "today's requests are used up.",
    "concurrent": "as many requests are in flight as may be at once.",
}
ALMOST = {
    "minute": "this minute's requests are almost used up.",
    "day": "today's requests are almost used up.",
    "concurrent": "almost as many requests are in flight as may be at once.",
}


@dataclass(frozen=True, slots=True)
class Headline:
    """`level` is `ok`, `near`, `full` or `unknown`; `until` is when it is over, where that is known."""

    level: str
    title: str
    detail: str
    until: datetime | None = None


def headline_of(key: ApiKey, standing: Standing) -> Headline:
    """The one thing to know first: a key that is refused, then limits that are full, then those near it."""
    if key.status == ApiKey.Status.REVOKED:
        return Headline("full", "Revoked:", REVOKED)
    if key.status == ApiKey.Status.SUSPENDED or standing.escalation >= SUSPENSION:
        return Headline("full", "Suspended:", SUSPENDED)
    if key.has_expired:
        return Headline("full", "Expired:", EXPIRED)
    if not standing.live:
        return Headline("unknown", "Unknown:", UNKNOWN)
    if standing.blocked_until is not None:
        return Headline("full", "Blocked:", BLOCKED, standing.blocked_until)
    if full := _longest(standing.quotas, "full"):
        return Headline("full", "Limit reached:", USED_UP[full.kind], full.resets_at)
    if near := _longest(standing.quotas, "near"):
        return Headline("near", "Warned:", ALMOST[near.kind], near.resets_at)
    if standing.escalation > 0:
        return Headline("near", "Warned:", REFUSED_LATELY)
    return Headline("ok", "All clear.", CLEAR)


def _longest(quotas: list[Quota], level: str) -> Quota | None:
    """The quota that stays at `level` for longest: the day before the minute before the concurrency."""
    order = ("day", "minute", "concurrent")
    return min((q for q in quotas if q.level == level), key=lambda q: order.index(q.kind), default=None)
