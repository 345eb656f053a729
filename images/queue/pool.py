"""How much waits for the workers in all, so that the pool's queue has an end."""

import threading
import time

from django.conf import settings
from django.db.models import Sum

from images.models import AccountQueue

COUNTED_EVERY = 1.0  # seconds


class Pool:
    """Thread-safe; one per process. Counts at most once a second, and what this process accepts meanwhile: so
    all processes together may go beyond the limit by what they accept within a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted_at = -COUNTED_EVERY
        self._waiting = 0

    def has_room_for(self, jobs: int) -> bool:
        """Whether so many more fit."""
        with self._lock:
            if time.monotonic() - self._counted_at >= COUNTED_EVERY:
                self._waiting = AccountQueue.objects.waiting().aggregate(n=Sum("queued"))["n"] or 0
                self._counted_at = time.monotonic()
            return self._waiting + jobs <= settings.POOL_QUEUE_LIMIT

    def add(self, jobs: int) -> None:
        """Count so many more, which this process has accepted."""
        with self._lock:
            self._waiting += jobs

    def forget(self) -> None:
        """Count anew at the next question."""
        self._counted_at = -COUNTED_EVERY


pool = Pool()
