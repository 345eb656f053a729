"""What clients do in the long run: tests hold the ladder to it, a benchmark prints what it makes of it.

Requests inside of a block change nothing, so they are counted and not sent.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.usage.clock import Clock
from tests.usage.escalation.engines import Engine
from usage.limits.kinds import Verdict

LIMIT = 60  # a minute
HOUR, DAY = 60, 24 * 60  # minutes
AT_A_TIME = 2_000  # requests: few enough for one call of the store


@dataclass(frozen=True)
class Scenario:
    """So many requests in each minute, evenly spread over it, for so many minutes."""

    name: str
    minutes: int
    requests: Callable[[int], int]


@dataclass
class Outcome:
    """Blocks as (the minute in which it began, counted from 1, and its escalation tier)."""

    served: int = 0
    refused: int = 0
    sent: int = 0
    highest: int = 0
    blocks: list[tuple[int, int]] = field(default_factory=list)
    suspended_at: int | None = None  # seconds after the beginning

    @property
    def minutes_of_blocks(self) -> list[int]:
        return [minute for minute, _ in self.blocks]


HAMMERING = Scenario("10 times the limit", 26 * HOUR, lambda _: 10 * LIMIT)
SLIGHTLY_OVER = Scenario("66 a minute, 50 hours", 50 * HOUR, lambda _: 66)
ONE_IN_TEN = Scenario(
    "one bad minute in ten, 30 days", 30 * DAY, lambda minute: 75 if minute % 10 == 0 else 1
)
# Nothing else that day within ten minutes.
DAILY_BURST = Scenario(
    "a three-minute burst daily, 30 days",
    30 * DAY,
    lambda minute: 10 * LIMIT if minute % DAY < 3 else 2 * (minute % DAY >= 12),
)
NEVER_PAST_TIER_1 = (SLIGHTLY_OVER, ONE_IN_TEN, DAILY_BURST)


def play(scenario: Scenario, engine: Engine, clock: Clock) -> Outcome:
    """Let a scenario happen from the next minute on, until its end or until the subject is suspended."""
    began = clock.seconds - clock.seconds % 60 + 60
    outcome = Outcome()
    waiting: list[int] = []
    blocked_until = 0
    for times in _times(scenario, began):
        waiting += times
        if len(waiting) < AT_A_TIME and times[-1] // 60 < began // 60 + scenario.minutes - 1:
            continue
        while waiting:
            met = sum(time < blocked_until for time in waiting)
            outcome.refused += met
            waiting = waiting[met:]
            if not waiting:
                break
            stretch = engine.stretch(waiting)
            outcome.sent += stretch.asked
            outcome.served += stretch.served
            outcome.refused += stretch.asked - stretch.served
            outcome.highest = max(outcome.highest, stretch.highest)
            since = waiting[stretch.asked - 1] - began
            waiting = waiting[stretch.asked :]
            if stretch.last.verdict is Verdict.SUSPENDED:
                outcome.suspended_at = since
                return outcome
            if stretch.last.verdict is Verdict.BLOCKED:
                outcome.blocks.append((since // 60 + 1, stretch.last.escalation))
                blocked_until = stretch.last.until
    return outcome


def _times(scenario: Scenario, began: int) -> Iterator[list[int]]:
    """Each minute's requests, in Unix seconds; minutes without any are left out."""
    for minute in range(scenario.minutes):
        requests = scenario.requests(minute)
        if requests:
            yield [began + minute * 60 + number * 60 // requests for number in range(requests)]
