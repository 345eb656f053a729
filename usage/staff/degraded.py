"""What staff should know on whatever page they are: the limit store is down, or the worker lags behind."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Min

from usage.limits.health import is_store_down
from usage.models import BookedUntil
from usage.spans import minute_start

# A minute is booked within half of one after its end. So much later something is wrong.
LATE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Degraded:
    """`booked_until` is where the books end, if that is too long ago."""

    is_store_down: bool
    booked_until: datetime | None
    now: datetime

    @property
    def is_well(self) -> bool:
        return not self.is_store_down and self.booked_until is None


def degraded(now: datetime) -> Degraded:
    """One query, and a question to the store at most once a second."""
    end = books_end()
    return Degraded(is_store_down(), end if end is not None and is_late(end, now) else None, now)


def books_end() -> datetime | None:
    """The end of the last minute that is booked of every subject; `None` where nothing ever was."""
    minute: int | None = BookedUntil.objects.aggregate(minute=Min("minute"))["minute"]
    return None if minute is None else minute_start(minute + 1)


def is_late(end: datetime, now: datetime) -> bool:
    return now - end > LATE
