"""What each client was last told to wait, and when: remembered in this process, to tell who didn't.

Only refusals are looked at, so who is admitted pays nothing. A key's clients are one client here: which of
its threads or machines was told, and which came, nobody can know.
"""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from usage.limits.kinds import Kind
from usage.limits.outcomes import BLOCKED, COOLDOWN

CAPACITY = 20_000
# A refusal that weighs less than the one before says that what that one was for is gone: a block was lifted,
# a limit raised, perhaps by somebody who told the client to come back.
_WEIGHTS = {Kind.CONCURRENT: 1, Kind.MINUTE: 2, Kind.DAY: 3, COOLDOWN: 4, BLOCKED: 4}


class Hurry(NamedTuple):
    """A request that came too early: the `Retry-After` that was told before it, in seconds, and how many
    milliseconds later it came."""

    told: int
    waited_ms: int


class LastRefusals:
    """Thread-safe and bounded: when it is full, whoever came first is forgotten first.

    `clock` gives seconds that no setting of a clock moves.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._told: dict[str, tuple[float, int, int]] = {}

    def note(self, subject_id: str, outcome: str, retry_after: int) -> Hurry | None:
        """A request is refused, with this `Retry-After`; gives whether it should not have come yet."""
        now, weight = self._clock(), _WEIGHTS.get(outcome, 0)
        with self._lock:  # to the end of the change: another thread may be looking for whom to forget
            before = self._told.get(subject_id)
            if before is None:
                self._make_room()
            self._told[subject_id] = (now, retry_after, weight)
        if before is None:
            return None
        told_at, told, weighed = before
        waited = now - told_at
        if waited >= told or weight < weighed:
            return None
        return Hurry(told, max(0, int(waited * 1000)))

    def _make_room(self) -> None:
        while len(self._told) >= CAPACITY:
            del self._told[next(iter(self._told))]
