"""Pages of the books for a time in which nobody wrote them: minutes, hours, days and hits that agree."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from usage.books.retention import MINUTES_KEPT
from usage.limits.outcomes import ADMITTED, FAILED, column_of
from usage.models import RateHit, UsageDay, UsageHour, UsageMinute
from usage.models.usage import COUNTS
from usage.spans import day_start, hour_start
from usage.subjects import bucket_of

_PLACE = {name: place for place, name in enumerate(COUNTS)}


_Spans = dict[str, list[tuple[datetime, datetime]]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a client's requests come from, as the samples of hits tell."""

    address: str
    user_agent: str


class Books:
    """What is noted here is written at once, in bulk.

    `present` is a minute's start: it and those that follow aren't ours to write.
    """

    def __init__(self, present: datetime) -> None:
        self.present = present
        self._minutes: dict[tuple[str, datetime], list[int]] = {}
        self._hits: dict[tuple[str, datetime, str, str], RateHit] = {}
        self._taken: _Spans = defaultdict(list)
        self._calm: _Spans = defaultdict(list)

    def take(self, subject: str, first: datetime, last: datetime) -> None:
        """Of these minutes a subject's story has been told; habits leave them out."""
        self._taken[subject].append((first, last))

    def calm(self, subject: str, first: datetime, last: datetime) -> None:
        """In these minutes nothing of the subject is refused by habit."""
        self._calm[subject].append((first, last))

    def is_taken(self, subject: str, minute: datetime) -> bool:
        return _is_in(self._taken[subject], minute)

    def is_calm(self, subject: str, minute: datetime) -> bool:
        return _is_in(self._calm[subject], minute)

    def admit(self, subject: str, minute: datetime, number: int, *, failed: int = 0) -> None:
        self._count(subject, minute, ADMITTED, number)
        self._count(subject, minute, FAILED, failed)

    def refuse(
        self,
        subject: str,
        minute: datetime,
        kind: str,
        number: int,
        caller: Caller,
        *,
        route: str = "convert",
        told: tuple[int, int] | None = None,
    ) -> None:
        """`told` is what the sample was told to wait, in seconds, and what it waited, in milliseconds."""
        if minute >= self.present:
            return
        self._count(subject, minute, column_of(kind), number)
        hit = self._hits.setdefault(
            (subject, minute, kind, route),
            RateHit(
                **{"subject": subject, "minute": minute, "kind": kind, "route": route, "count": 0},
                **{"address": caller.address, "user_agent": caller.user_agent},
                **({"told_seconds": told[0], "waited_ms": told[1]} if told else {}),
            ),
        )
        hit.count += number

    def served(self, subject: str, minute: datetime) -> int:
        return self._minutes.get((subject, minute), [0])[_PLACE[ADMITTED]]

    def last_minutes(self) -> dict[str, datetime]:
        """When each subject was last served or refused."""
        last: dict[str, datetime] = {}
        for subject, minute in self._minutes:
            last[subject] = max(minute, last.get(subject, minute))
        return last

    def write(self) -> None:
        """Minutes as long as they are kept, all hours and days as their sums.

        No watermark moves: the worker books what comes, and sums it up with the minutes that are here.
        """
        hours: dict[tuple[str, datetime], list[int]] = defaultdict(lambda: [0] * len(COUNTS))
        days: dict[tuple[str, datetime], list[int]] = defaultdict(lambda: [0] * len(COUNTS))
        for (subject, minute), counts in self._minutes.items():
            for sums in (hours[subject, hour_start(minute)], days[subject, day_start(minute)]):
                sums[:] = map(sum, zip(sums, counts, strict=True))
        kept = hour_start(self.present - MINUTES_KEPT)
        UsageMinute.objects.bulk_create(
            UsageMinute(subject=subject, start=minute, **_named(counts))
            for (subject, minute), counts in self._minutes.items()
            if minute >= kept
        )
        UsageHour.objects.bulk_create(
            UsageHour(subject=subject, start=hour, **_named(sums)) for (subject, hour), sums in hours.items()
        )
        UsageDay.objects.bulk_create(
            UsageDay(subject=subject, start=day, bucket=bucket_of(subject), **_named(sums))
            for (subject, day), sums in days.items()
        )
        RateHit.objects.bulk_create(self._hits.values())

    def _count(self, subject: str, minute: datetime, column: str, number: int) -> None:
        if minute < self.present and number:
            self._minutes.setdefault((subject, minute), [0] * len(COUNTS))[_PLACE[column]] += number


def _is_in(spans: list[tuple[datetime, datetime]], minute: datetime) -> bool:
    return any(first <= minute <= last for first, last in spans)


def _named(counts: list[int]) -> dict[str, int]:
    return dict(zip(COUNTS, counts, strict=True))
