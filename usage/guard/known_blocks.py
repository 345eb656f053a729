"""Subjects that this process knows to be blocked: refused here, without a round trip.

Forgotten within seconds, so that a block that staff lift is felt.
"""

import threading
import time
from collections.abc import Callable

from usage.limits.decision import Decision
from usage.spans import DAY_SECONDS, MINUTE_SECONDS

# Less than the 5 s within which a reactivation is felt everywhere.
SECONDS = 4.0
CAPACITY = 20_000


class KnownBlocks:
    """Thread-safe and bounded: when it is full, whoever came first is forgotten first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._blocks: dict[str, tuple[float, Decision]] = {}

    def remember(self, subject_id: str, decision: Decision) -> None:
        with self._lock:
            self._blocks.pop(subject_id, None)
            while len(self._blocks) >= CAPACITY:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[subject_id] = (self._clock(), decision)

    def forget(self, subject_id: str) -> None:
        """The store has just said that it isn't blocked. (Else it would be again, once the store is down.)"""
        self._blocks.pop(subject_id, None)  # without the lock: this runs for every request

    def recall(self, subject_id: str, seconds: float = SECONDS) -> Decision | None:
        """The decision that a blocked subject gets now, on the store's clock as far as we can tell.

        `seconds` is how old it may be. (While the store is down there is nothing newer to be had.)
        """
        known = self._blocks.get(subject_id)
        if known is None:
            return None
        asked_at, then = known
        passed = self._clock() - asked_at
        now = then.now + int(passed)
        if passed >= seconds or now >= then.escalation_until:
            return None
        return then._replace(
            now=now,
            minute_count=then.minute_count if now // MINUTE_SECONDS == then.now // MINUTE_SECONDS else 0,
            day_count=then.day_count if now // DAY_SECONDS == then.now // DAY_SECONDS else 0,
            change="",
        )
