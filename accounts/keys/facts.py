"""What the apps above know about keys and the pages about keys show: where they stand, what they used today.

This app doesn't know who counts. Whoever does registers a provider when its app is ready.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from accounts.models import ApiKey

NEAR = 80  # per cent of the day's limit from which it counts as nearly used up


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """How one key stands just now.

    `standing` is its place on the ladder as pages call it ("Clear", "Temporary block"). `blocked_until` is
    the end of a block that is running. `used_today` are charged requests of this UTC day, against
    `day_limit` (`None`: no limit).
    """

    standing: str
    blocked_until: datetime | None
    used_today: int
    day_limit: int | None

    @property
    def percent(self) -> int:
        """Of the day's limit, from 0 to 100; nothing of no limit."""
        return 0 if self.day_limit is None else min(100, self.used_today * 100 // self.day_limit)

    @property
    def level(self) -> str:
        """Of the day's limit: `ok`, `near` or `full`."""
        if self.day_limit is not None and self.used_today >= self.day_limit:
            return "full"
        return "near" if self.percent >= NEAR else "ok"


# Takes keys that were read with their tier, and gives facts by their primary keys. What can't be known (the
# limit store is away, say) is left out; nothing is raised. Its cost must not grow with the number of keys by
# more than a round trip's length: a list of keys asks once, for a page of them.
Provider = Callable[[Sequence[ApiKey]], Mapping[int, KeyFacts]]


def _nobody_knows(keys: Sequence[ApiKey]) -> Mapping[int, KeyFacts]:
    return {}


_provider: Provider = _nobody_knows


def register(provider: Provider) -> None:
    """From now on `provider` is asked; there is one."""
    global _provider
    _provider = provider


def facts_of(keys: Sequence[ApiKey]) -> Mapping[int, KeyFacts]:
    """By primary key; a key that isn't there is one nobody knows about just now."""
    return _provider(keys) if keys else {}
