"""The outcomes of many subjects, summed up as they come: memory grows by neither subjects nor minutes."""

import heapq
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from usage.escalation.ladder import COOLDOWN, SUSPENDED
from usage.replay.engine import Outcome
from usage.replay.result import LISTED, Estimate, Fate, Reason, Totals
from usage.spans import time_of


class Side:
    """One of the two replays."""

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()
        self.by_highest: Counter[int] = Counter()
        self.refused_by_day: Counter[int] = Counter()

    def add(self, outcome: Outcome) -> None:
        if outcome.first_refusal is None and not outcome.moves:
            return
        self.hits["minute_hits"] += outcome.minute_hits
        self.hits["day_hits"] += outcome.day_hits
        self.hits["blocked_hits"] += outcome.blocked_hits
        self.hits["limited"] += outcome.first_refusal is not None
        self.by_highest[outcome.peak[0]] += 1
        self.refused_by_day.update(outcome.refused_by_day)

    def totals(self) -> Totals:
        minute, day, blocked = (self.hits[name] for name in ("minute_hits", "day_hits", "blocked_hits"))
        return Totals(
            refused=minute + day + blocked,
            minute_hits=minute,
            day_hits=day,
            blocked_hits=blocked,
            limited=self.hits["limited"],
            escalated=sum(number for highest, number in self.by_highest.items() if highest >= COOLDOWN),
            suspended=self.by_highest[SUSPENDED],
            by_highest={str(highest): self.by_highest[highest] for highest in range(1, SUSPENDED + 1)},
        )


class Difference(NamedTuple):
    """A subject whose outcome changes; the greater comes first in the list."""

    is_worse: bool
    tiers: int
    refused: int
    subject: str
    current: Outcome
    proposed: Outcome


class Sums:
    def __init__(self) -> None:
        self.current, self.proposed = Side(), Side()
        self.changed = self.worse = self.blocked = 0
        self._worst: list[tuple[tuple[bool, int, int, str], Difference]] = []

    def add(self, subject: str, current: Outcome, proposed: Outcome) -> None:
        self.current.add(current)
        self.proposed.add(proposed)
        self.blocked += bool(current.blocked_hits or proposed.blocked_hits)
        if not proposed.differs_from(current):
            return
        tiers = proposed.peak[0] - current.peak[0]
        refused = proposed.refused - current.refused
        minutes = proposed.limited_minutes - current.limited_minutes
        is_worse = (tiers, refused, minutes) > (0, 0, 0)
        self.changed += 1
        self.worse += is_worse
        difference = Difference(is_worse, abs(tiers), abs(refused), subject, current, proposed)
        entry = (difference[:4], difference)
        if len(self._worst) < LISTED:
            heapq.heappush(self._worst, entry)
        elif entry[0] > self._worst[0][0]:
            heapq.heapreplace(self._worst, entry)

    def worst(self) -> list[Difference]:
        return [difference for _, difference in sorted(self._worst, key=lambda entry: entry[0], reverse=True)]

    def estimates(self, others: Mapping[Reason, int]) -> list[Estimate]:
        """The reasons that apply: what the outcomes say of themselves, and what others know."""
        reasons: dict[Reason, int] = {"clients": self.changed, "blocks": self.blocked, **others}
        return [Estimate(reason=reason, number=number) for reason, number in reasons.items() if number]


def fate(outcome: Outcome) -> Fate:
    highest, at = outcome.peak
    return Fate(
        refused=outcome.refused,
        limited_minutes=outcome.limited_minutes,
        highest=highest,
        highest_at=None if at is None else time_of(at).isoformat(),
    )
