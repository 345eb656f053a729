"""The totals over time, as staff's charts show them."""

from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import Tier
from usage.books.total_series import Total, total_series
from usage.models import HitTotal, TotalledUntil, UsageTotal

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 14, 32, 7, tzinfo=UTC)
HOUR = NOW.replace(minute=0, second=0)
TODAY = HOUR.replace(hour=0)


def test_hours_days_and_kinds_come_in_one_query(django_assert_num_queries):
    for hours, tier, admitted in (
        (0, "free", 5),
        (0, "pro", 7),
        (3, "free", 11),
        (23, "", 1),
        (24, "free", 90),
    ):
        start = HOUR - timedelta(hours=hours)
        UsageTotal.objects.create(start=start, tier=tier, admitted=admitted, minute_hits=2, other_hits=1)
    UsageTotal.objects.create(start=TODAY - timedelta(days=29), tier="free", admitted=3_000_000_000)
    UsageTotal.objects.create(start=TODAY - timedelta(days=29, hours=1), tier="free", admitted=4)
    for hours, kind, count in ((0, "minute", 5), (23, "minute", 6), (1, "login", 7), (24, "day", 8)):
        HitTotal.objects.create(start=HOUR - timedelta(hours=hours), kind=kind, count=count)
    TotalledUntil.objects.create(bucket=1, minute=int(NOW.timestamp()) // 60 - 1)
    TotalledUntil.objects.create(bucket=2, minute=int(NOW.timestamp()) // 60 - 2)
    with django_assert_num_queries(1):
        found = total_series(NOW)
    assert (len(found.hours), found.hours[0], found.hours[-1]) == (24, HOUR - timedelta(hours=23), HOUR)
    assert (len(found.days), found.days[0], found.days[-1]) == (30, TODAY - timedelta(days=29), TODAY)
    assert found.by_hour == {
        HOUR: {"free": Total(5, 3), "pro": Total(7, 3)},
        HOUR - timedelta(hours=3): {"free": Total(11, 3)},
        HOUR - timedelta(hours=23): {"": Total(1, 3)},
    }
    assert found.by_day == {
        TODAY: {"free": Total(16, 6), "pro": Total(7, 3)},
        TODAY - timedelta(days=1): {"": Total(1, 3), "free": Total(90, 3)},
        TODAY - timedelta(days=29): {"free": Total(3_000_000_000, 0)},
    }
    assert list(found.tiers.items()) == list(Tier.objects.values_list("slug", "name"))
    assert found.refused_by == {"minute": 11, "login": 7}
    assert found.until == NOW.replace(minute=31, second=0)


def test_before_the_first_run_there_is_nothing():
    found = total_series(NOW)
    assert (found.by_hour, found.by_day, found.refused_by, found.until) == ({}, {}, {}, None)
