from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from accounts.models import Tier
from usage.models import UsageDay, UsageMinute
from usage.models.usage import COUNTS
from usage.replay import numbers
from usage.replay.replaying import replay
from usage.replay.result import Result
from usage.spans import MINUTE, day_start
from usage.subjects import bucket_of


@pytest.fixture
def record(db: None) -> Callable[..., None]:
    """Writes minutes of a subject into the books, the same each, from some time on."""

    def write(subject: str, at: datetime, minutes: int = 1, every: timedelta = MINUTE, **counts: int) -> None:
        starts = [at + n * every for n in range(minutes)]
        UsageMinute.objects.bulk_create(
            [UsageMinute(subject=subject, start=start, **counts) for start in starts]
        )
        for start in starts:
            day, _ = UsageDay.objects.get_or_create(
                subject=subject, start=day_start(start), defaults={"bucket": bucket_of(subject)}
            )
            for name in COUNTS:
                setattr(day, name, getattr(day, name) + counts.get(name, 0))
            day.save()

    return write


@pytest.fixture
def of_tier(db: None) -> Callable[..., Result]:
    """Replays a tier at some time, with some of its limits changed."""

    def run(now: datetime, slug: str = "free", **proposed: int | None) -> Result:
        limits = Tier.objects.get(slug=slug).limits
        current = numbers.of_limits(limits)
        return replay("tier", slug, current, current | proposed, now, lambda done: None)

    return run


@pytest.fixture
def of_ladder(db: None) -> Callable[..., Result]:
    """Replays the ladder at some time, with some of its numbers changed."""
    from usage.escalation.policy import read_ladder

    def run(now: datetime, **proposed: object) -> Result:
        current = numbers.of_ladder(read_ladder())
        return replay("ladder", "", current, current | proposed, now, lambda done: None)

    return run
