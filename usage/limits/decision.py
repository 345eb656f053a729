"""The limiter's verdict on one request."""

from typing import NamedTuple

from accounts.tiers import Limits
from usage.escalation.ladder import COOLDOWN
from usage.limits import outcomes
from usage.limits.kinds import REFUSED_BY, Verdict
from usage.spans import DAY_SECONDS, MINUTE_SECONDS

# How long a client refused for concurrency should wait: a place may be free at any moment.
CONCURRENCY_RETRY = 1


class Decision(NamedTuple):
    """What the limit store answered, with the limits it was asked about.

    Times are Unix seconds on the store's clock. The counts include this request if it was admitted.
    `change` is the id of the change of tier that it caused, or "".
    """

    verdict: Verdict
    limits: Limits
    now: int
    minute_count: int
    day_count: int
    in_flight: int
    escalation: int = 0
    escalation_until: int = 0
    strikes: int = 0
    change: str = ""

    @property
    def admitted(self) -> bool:
        return self.verdict is Verdict.ADMITTED

    @property
    def outcome(self) -> str:
        """Under which name the store counted it."""
        if self.verdict is Verdict.BLOCKED:
            return outcomes.COOLDOWN if self.escalation == COOLDOWN else outcomes.BLOCKED
        return outcomes.SUSPENDED if self.verdict is Verdict.SUSPENDED else REFUSED_BY[self.verdict]

    @property
    def is_blocked(self) -> bool:
        """Whether charged requests are refused for a time, whatever the windows have left."""
        return self.escalation_until > self.now

    @property
    def minute_end(self) -> int:
        return self.now - self.now % MINUTE_SECONDS + MINUTE_SECONDS

    @property
    def day_end(self) -> int:
        return self.now - self.now % DAY_SECONDS + DAY_SECONDS

    @property
    def retry_after(self) -> int | None:
        """Whole seconds until the violated limit gives way; `None` if nothing was violated."""
        match self.verdict:
            case Verdict.MINUTE_FULL:
                return self.minute_end - self.now
            case Verdict.DAY_FULL:
                return self.day_end - self.now
            case Verdict.CONCURRENT_FULL:
                return CONCURRENCY_RETRY
            case Verdict.BLOCKED:
                return self.escalation_until - self.now
            case _:
                return None
