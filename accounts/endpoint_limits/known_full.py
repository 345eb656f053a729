"""Addresses that this process knows to be over a limit: refused here, without a round trip."""

import math
import threading
import time
from collections.abc import Callable

from accounts.endpoint_limits.rates import Rate

# Forgotten after that, in case somebody emptied the cache: a count that only grows needs no second look.
SECONDS = 2.0
CAPACITY = 20_000

Which = tuple[str, str]  # limit, network


class KnownFull:
    """Thread-safe and bounded: when there is no room, whoever came first is forgotten first."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[Which, tuple[Rate, float, float]] = {}

    def remember(self, which: Which, rate: Rate, seconds: int) -> None:
        """It is over `rate` for `seconds` more."""
        now = self._clock()
        ends_at = math.floor(now) + seconds
        with self._lock:
            self._known.pop(which, None)
            while len(self._known) >= CAPACITY:
                del self._known[next(iter(self._known))]
            self._known[which] = (rate, ends_at, min(ends_at, now + SECONDS))

    def seconds_left(self, which: Which, rate: Rate) -> int | None:
        """How long it has to wait, if that is known and `rate` is still what it is over."""
        known = self._known.get(which)
        if known is None or known[0] != rate:
            return None
        _, ends_at, good_until = known
        now = self._clock()
        return math.ceil(ends_at - now) if now < good_until else None

    def forget_all(self) -> None:
        self._known.clear()
