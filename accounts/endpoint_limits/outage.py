"""Whether the cache is away: then one request a second asks whether it still is, and no other waits."""

import logging
import threading
import time
from collections.abc import Callable

from redis.exceptions import ConnectionError as StoreConnectionError

logger = logging.getLogger(__name__)

SECONDS = 1.0


class StoreAway(StoreConnectionError):
    """The cache did not answer a moment ago, and wasn't asked."""


class Outage:
    """Thread-safe. A cache that is silent costs each who asks a second of waiting, and a thread meanwhile."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ask_again_at: float | None = None

    def raise_if_known(self) -> None:
        """Raises `StoreAway` for all but one in a second, who is to try and to tell how it went."""
        if self._ask_again_at is None:  # without the lock: this runs for every request
            return
        with self._lock:
            if self._ask_again_at is None:
                return
            now = self._clock()
            if now < self._ask_again_at:
                raise StoreAway("the cache did not answer a moment ago")
            self._ask_again_at = now + SECONDS

    def begins(self, error: Exception) -> None:
        with self._lock:
            is_news = self._ask_again_at is None
            self._ask_again_at = self._clock() + SECONDS
        if is_news:
            logger.error("Endpoint limits can't be counted: %s", error)

    def ends(self) -> None:
        if self._ask_again_at is not None:
            with self._lock:
                was_away, self._ask_again_at = self._ask_again_at is not None, None
            if was_away:
                logger.warning("Endpoint limits are counted again")
