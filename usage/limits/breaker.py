"""A circuit breaker: after a few failures in a row the limit store isn't asked any more, but for one probe a
second. Without it every request would wait for the whole timeout while the store is away."""

import threading
import time
from collections.abc import Callable

FAILURES = 3
PROBE_SECONDS = 1.0


class Breaker:
    """Thread-safe. Closed: ask. Open: one caller a second may, and its success closes it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._next_probe = 0.0

    @property
    def is_open(self) -> bool:
        return self._failures >= FAILURES

    def allows(self) -> bool:
        """Whether this caller may ask now."""
        if self._failures < FAILURES:  # without the lock: this runs for every request
            return True
        with self._lock:
            if self._clock() < self._next_probe:
                return False
            self._next_probe = self._clock() + PROBE_SECONDS
            return True

    def succeeded(self) -> bool:
        """An answer came; gives whether that closed the breaker."""
        if self._failures == 0:
            return False
        with self._lock:
            was_open, self._failures = self.is_open, 0
            return was_open

    def failed(self) -> bool:
        """No answer came; gives whether that opened the breaker."""
        with self._lock:
            self._failures += 1
            if self._failures < FAILURES:
                return False
            self._next_probe = self._clock() + PROBE_SECONDS
            return self._failures == FAILURES
