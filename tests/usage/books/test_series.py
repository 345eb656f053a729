"""Charts show the same numbers before and after booking, and count nothing twice."""

from datetime import UTC, datetime, timedelta

import pytest
import redis

from usage.books.booking import book_closed_minutes
from usage.books.series import series_of
from usage.limits.store import limit_store
from usage.models import UsageDay, UsageHour
from usage.subjects import bucket_of

pytestmark = pytest.mark.django_db

SUBJECT = "k:1"


@pytest.fixture
def count(valkey, driven_clock):
    """Counts of this minute, as the store's scripts put them there."""

    def put(subject=SUBJECT, **outcomes):
        minute = driven_clock.seconds // 60
        for outcome, n in outcomes.items():
            valkey.hincrby(f"kp1:{{{bucket_of(subject)}}}:u:{minute}", f"{subject}|convert|{outcome}", n)

    return put


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_every_minute_hour_and_day_has_its_point(driven_clock, valkey):
    driven_clock.set("2026-03-01T00:07:30")
    minutes, hours, days = series_of(SUBJECT, driven_clock.seconds)
    assert [len(minutes), len(hours), len(days)] == [60, 24, 30]
    assert (minutes[0].start, minutes[-1].start) == (at("2026-02-28T23:08"), at("2026-03-01T00:07"))
    assert (hours[0].start, hours[-1].start) == (at("2026-02-28T01:00"), at("2026-03-01T00:00"))
    assert (days[0].start, days[-1].start) == (at("2026-01-31T00:00"), at("2026-03-01T00:00"))
    assert not any(point.admitted or point.refused for series in (minutes, hours, days) for point in series)


def test_it_is_the_same_before_and_after_booking(count, driven_clock):
    driven_clock.set("2026-03-01T23:30:06")
    for minute in range(50):
        count(admitted=minute, failed=1, minute=2, day=1, concurrent=1, blocked=3, unavailable=1)
        count("k:2", admitted=1000)
        driven_clock.advance(60)
    before = series_of(SUBJECT, driven_clock.seconds)
    book_closed_minutes(limit_store())
    assert series_of(SUBJECT, driven_clock.seconds) == before
    assert [(point.admitted, point.refused) for point in before.hours[-2:]] == [
        (sum(range(30)), 30 * 8),
        (sum(range(30, 50)), 20 * 8),
    ]
    assert [(point.admitted, point.refused) for point in before.days[-2:]] == [
        (sum(range(30)), 30 * 8),
        (sum(range(30, 50)), 20 * 8),
    ]
    assert [point.admitted for point in before.minutes[-51:]] == [*range(50), 0]


def test_the_present_minute_is_there_at_once(count, driven_clock):
    count(admitted=3, minute=4)
    for series in series_of(SUBJECT, driven_clock.seconds):
        assert (series[-1].admitted, series[-1].refused) == (3, 4)


def test_what_is_older_than_the_chart_is_left_out(driven_clock, valkey):
    midnight = at("2026-03-01T00:00")
    UsageHour.objects.create(subject=SUBJECT, start=midnight + timedelta(hours=12 - 24), admitted=1)
    UsageHour.objects.create(subject=SUBJECT, start=midnight + timedelta(hours=12 - 23), admitted=2)
    UsageDay.objects.create(subject=SUBJECT, start=midnight - timedelta(days=30), admitted=4, bucket=0)
    UsageDay.objects.create(subject=SUBJECT, start=midnight - timedelta(days=29), day_hits=8, bucket=0)
    _, hours, days = series_of(SUBJECT, driven_clock.seconds)
    assert sum(point.admitted for point in hours) == 2
    assert [(point.admitted, point.refused) for point in days if any(point[1:])] == [(0, 8)]


def test_it_takes_one_query(count, driven_clock, django_assert_num_queries):
    count(admitted=3)
    with django_assert_num_queries(1):
        series_of(SUBJECT, driven_clock.seconds)


def test_without_the_store_what_is_booked_is_told(count, driven_clock, monkeypatch):
    count(admitted=3)
    driven_clock.advance(65)
    book_closed_minutes(limit_store())
    monkeypatch.setattr(limit_store(), "client", redis.Redis.from_url("unix:///nowhere/valkey.sock"))
    with pytest.raises(redis.RedisError):
        series_of(SUBJECT, driven_clock.seconds)
    assert series_of(SUBJECT, driven_clock.seconds, live=False).days[-1].admitted == 3
