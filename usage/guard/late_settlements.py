"""Leases that could not be returned because the limit store was away: returned as soon as it is back.

Without this a client would wait for its leases' life, two minutes, to have its concurrency again. What was
told over a connection that then broke may not have been heard: it is told once more. Doing it twice is doing
it once.
"""

import logging
import os
import threading
import time
from collections import deque

import redis

from usage.limits.store import LimitStore, Settlement

RETRY_SECONDS = 0.5
AT_A_TIME = 500
# More leases end by themselves.
CAPACITY = 10_000

logger = logging.getLogger(__name__)


class LateSettlements:
    """Thread-safe; its own thread begins with the first one."""

    def __init__(self, store: LimitStore) -> None:
        self._store = store
        self._start_over()
        os.register_at_fork(after_in_child=self._start_over)

    def _start_over(self) -> None:
        """In a forked child: the parent's requests are the parent's."""
        self._told: dict[int, Settlement] = {}
        self._waiting: deque[Settlement] = deque(maxlen=CAPACITY)
        self._settling = threading.Lock()
        self._beginning = threading.Lock()
        self._there_are_some = threading.Event()
        self._thread: threading.Thread | None = None

    def told(self, settlement: Settlement) -> None:
        """This was the last that this thread told the store: whether it was heard, nobody knows yet."""
        self._told[threading.get_ident()] = settlement

    def add(self, settlement: Settlement) -> None:
        """This could not be told, or has to be made sure of."""
        self._waiting.append(settlement)
        self._begin()

    def doubt(self) -> None:
        """A connection broke: whatever was told last, by any thread, is told again."""
        if self._told:
            told, self._told = self._told, {}
            self._waiting.extend(told.values())
            self._begin()

    def settle(self) -> bool:
        """Settle what waits, and hear that it is done; gives whether nothing is left."""
        with self._settling:
            while some := [self._waiting[i] for i in range(min(AT_A_TIME, len(self._waiting)))]:
                try:
                    self._store.settle_surely(some)
                except redis.RedisError:
                    return False
                for _ in some:
                    self._waiting.popleft()
            return True

    def _begin(self) -> None:
        self._there_are_some.set()
        if self._thread is None:
            with self._beginning:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="late settlements", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while self._there_are_some.wait():
            self._there_are_some.clear()
            while not self._try():
                time.sleep(RETRY_SECONDS)

    def _try(self) -> bool:
        try:
            return self.settle()
        except Exception:  # nobody else would begin this thread again
            logger.exception("Leases could not be returned")
            return False
