"""Which secrets were used, and in which minute: remembered in this process, and brought to the limit store by
the thread of `usage.guard.local_hits`. The worker takes it from there (`usage.books.last_used`).

A request pays for a look into a dictionary; only a secret's first one in a minute leaves a word behind. Said
twice is said once, so whatever is in doubt is said again.
"""

import os
import threading
from functools import cache
from itertools import islice

import redis

from usage.guard.local_hits import LocalHits, local_hits
from usage.limits.last_uses import bring
from usage.limits.store import LimitStore, limit_store
from usage.spans import MINUTE_SECONDS

# Secrets that may wait while the store is away, and that are known to have been used in their minute.
CAPACITY = 50_000
AT_A_TIME = 5_000


class UsedSecrets:
    """Thread-safe; one per process, beside its hits."""

    def __init__(self, store: LimitStore, hits: LocalHits) -> None:
        self._store = store
        self._hits = hits
        hits.bring_along(self)
        self._start_over()
        os.register_at_fork(after_in_child=self._start_over)

    def _start_over(self) -> None:
        """In a forked child: what the parent noted is the parent's to bring."""
        self._lock = threading.Lock()
        self._is_ending = False
        # By a secret's primary key: Unix minutes.
        self._noted: dict[int, int] = {}
        self._waiting: dict[int, int] = {}

    def note(self, secret_id: int | None, now: int) -> None:
        """A request presented this secret (`None`: it had no key) at `now`, in Unix seconds."""
        minute = now // MINUTE_SECONDS
        # Without the lock: this runs for every request.
        if secret_id is None or self._noted.get(secret_id) == minute:
            return
        with self._lock:
            if len(self._waiting) >= CAPACITY and secret_id not in self._waiting:
                return  # its next request may find room
            if len(self._noted) >= CAPACITY:
                self._noted.clear()
            self._noted[secret_id] = self._waiting[secret_id] = minute
        self._hits.begin()
        if self._is_ending:
            self.flush()

    def flush(self) -> bool:
        """Bring what waits; gives whether that was possible."""
        left = len(self._waiting)
        while left > 0:
            with self._lock:
                some = dict(islice(self._waiting.items(), AT_A_TIME))
            try:
                bring(self._store, some)
            except redis.RedisError:
                return False  # they wait on
            with self._lock:
                for secret_id, minute in some.items():
                    if self._waiting.get(secret_id) == minute:
                        del self._waiting[secret_id]
            left -= len(some) or left
        return True

    def end(self) -> None:
        """The process ends: bring everything, and what still happens as it happens."""
        self._is_ending = True
        self.flush()


@cache
def used_secrets() -> UsedSecrets:
    """This process's."""
    return UsedSecrets(limit_store(), local_hits())
