"""A process's own share of the minute's limit, for when nobody can count for all of them."""

import threading
import time
from collections.abc import Callable

from django.conf import settings

from usage.spans import MINUTE_SECONDS
from usage.subjects import Subject

CAPACITY = 20_000  # subjects


class LocalShares:
    """Thread-safe. Fixed windows on this machine's clock, begun anew with each minute."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._minute = 0
        self._taken: dict[str, int] = {}

    def take(self, subject: Subject) -> int | None:
        """Count one request: `None` if it is within the share, else the seconds until the next minute."""
        now = int(self._clock())
        limit = subject.limits.minute
        if limit is None:
            return None
        with self._lock:
            if self._minute != now // MINUTE_SECONDS:
                self._minute, self._taken = now // MINUTE_SECONDS, {}
            taken = self._taken.get(subject.id, 0)
            full = len(self._taken) >= CAPACITY and subject.id not in self._taken
            if full or taken >= min(limit, max(1, limit // settings.WEB_WORKERS)):
                return MINUTE_SECONDS - now % MINUTE_SECONDS
            self._taken[subject.id] = taken + 1
        return None
