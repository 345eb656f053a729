"""What staff should know on whatever page they are: the limit store is down, or the worker lags behind."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Min

from usage.limits.health import is_store_down
from usage.models import BookedUntil
from usage.spans import minute_start

# A minute is booked within half of one after its end. So much later something is wrong.
LATE = timedelta(minutes=5)
# Every staff page asks. What matters after minutes is not asked for by each of them.
REMEMBERED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Degraded:
    """`booked_until` is where the books end, if that is too long ago."""

    is_store_down: bool
    booked_until: datetime | None
    now: datetime

    @property
    def is_well(self) -> bool:
        return not self.is_store_down and self.booked_until is None


class Memory:
    """When the books were looked at last, on `time.monotonic`, and where they ended. One per process."""

    asked_at = -REMEMBERED_SECONDS
    end: datetime | None = None

    def forget(self) -> None:
        self.asked_at = -REMEMBERED_SECONDS


memory = Memory()


def degraded(now: datetime) -> Degraded:
    """Asks the store once a second at most, and SQL once in some."""
    if time.monotonic() - memory.asked_at >= REMEMBERED_SECONDS:
        memory.end, memory.asked_at = books_end(), time.monotonic()
    return judged(memory.end, now)


def judged(end: datetime | None, now: datetime) -> Degraded:
    """By where the books end."""
    is_late = end is not None and now - end > LATE
    return Degraded(is_store_down(), end if is_late else None, now)


def books_end() -> datetime | None:
    """The end of the last minute that is booked of every subject; `None` where nothing ever was."""
    minute: int | None = BookedUntil.objects.aggregate(minute=Min("minute"))["minute"]
    return None if minute is None else minute_start(minute + 1)
