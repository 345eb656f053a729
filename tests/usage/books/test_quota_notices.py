"""An owner is told once a day that a key has used 80 % of its day, and that it has used all of it."""

import pytest

from usage.books.booking import book_closed_minutes
from usage.limits.store import limit_store
from usage.models import BookedUntil, Notice
from usage.subjects import BUCKETS, bucket_of, key_subject_id

pytestmark = pytest.mark.django_db

NEAR, SPENT = Notice.Kind.QUOTA_NEAR, Notice.Kind.QUOTA_SPENT


@pytest.fixture
def admit(valkey, driven_clock):
    """So many requests of a key are admitted in this minute, which is then booked."""

    def admit(key, times, **others):
        subject, minute = key_subject_id(key.pk), driven_clock.seconds // 60
        name = f"kp1:{{{bucket_of(subject)}}}:u:{minute}"
        for outcome, n in {"admitted": times, **others}.items():
            valkey.hincrby(name, f"{subject}|convert|{outcome}", n)
        driven_clock.advance(65)
        book_closed_minutes(limit_store())

    return admit


def owed():
    return list(Notice.objects.order_by("pk").values_list("kind", flat=True))


def test_80_per_cent_are_told_from_the_request_that_reaches_them(admit, issue):
    key, _ = issue(day_override=100)
    admit(key, 79)
    assert owed() == []
    admit(key, 1)
    assert owed() == [NEAR]


def test_each_is_told_once_a_day(admit, issue, driven_clock):
    key, _ = issue(day_override=100)
    for times in (80, 5, 5, 10, 1):
        admit(key, times)
    assert owed() == [NEAR, SPENT]
    driven_clock.set("2026-03-02T00:00:10")
    admit(key, 90)
    assert owed() == [NEAR, SPENT, NEAR]


def test_80_per_cent_are_not_told_when_all_of_it_is_used(admit, issue):
    key, _ = issue(day_override=100)
    admit(key, 100)
    assert owed() == [SPENT]


def test_it_says_what_was_used_of_what_and_when_it_is_back(admit, issue):
    key, _ = issue(day_override=100)
    admit(key, 85)
    notice = Notice.objects.get()
    assert (notice.key, notice.once) == (key, f"quota_near:k:{key.pk}:2026-03-01")
    assert notice.facts == {
        "used": 85,
        "limit": 100,
        "day": "2026-03-01",
        "resets_at": "2026-03-02T00:00:00+00:00",
    }


def test_the_tiers_limit_counts_where_the_key_has_none_of_its_own(admit, issue):
    key, _ = issue()
    admit(key, 799)
    assert owed() == []
    admit(key, 1)
    assert owed() == [NEAR]


def test_without_a_limit_there_is_nothing_to_tell(admit, issue):
    key, _ = issue()
    key.tier.day = None
    key.tier.save()
    admit(key, 1_000_000)
    assert owed() == []


def test_what_was_refused_uses_up_nothing(admit, issue):
    key, _ = issue(day_override=100)
    admit(key, 10, minute=500, day=500)
    assert owed() == []


def test_whoever_switched_these_emails_off_is_owed_none(admit, issue, owner):
    owner.wants_quota_emails = False
    owner.save()
    key, _ = issue(day_override=100)
    admit(key, 100)
    assert owed() == []


def test_the_days_last_minute_is_told_although_the_day_is_over(admit, issue, driven_clock):
    driven_clock.set("2026-03-01T23:59:00")
    key, _ = issue(day_override=100)
    admit(key, 100)
    assert owed() == [SPENT]


def test_days_that_are_long_over_are_no_news(issue, admit, driven_clock, valkey):
    key, _ = issue(day_override=100)
    subject = key_subject_id(key.pk)
    name = f"kp1:{{{bucket_of(subject)}}}:u:{driven_clock.seconds // 60}"
    valkey.hincrby(name, f"{subject}|convert|admitted", 100)
    driven_clock.advance(2 * 86_400)
    book_closed_minutes(limit_store())
    assert owed() == []


def test_a_booking_that_is_done_again_tells_nothing_twice(admit, issue):
    key, _ = issue(day_override=100)
    admit(key, 80)
    BookedUntil.objects.all().delete()
    admit(key, 0)
    assert owed() == [NEAR]


def test_a_key_that_was_deleted_meanwhile_is_no_obstacle(admit, issue):
    key, _ = issue(day_override=100)
    pk = key.pk
    key.delete()
    key.pk = pk
    admit(key, 100)
    assert owed() == []


def test_keys_far_from_their_limits_cost_no_query_each(
    valkey, issue, driven_clock, django_assert_max_num_queries
):
    BookedUntil.objects.bulk_create(
        BookedUntil(bucket=bucket, minute=driven_clock.seconds // 60) for bucket in range(1, BUCKETS)
    )
    subjects = [key_subject_id(issue()[0].pk) for _ in range(600)]
    mine = [subject for subject in subjects if bucket_of(subject) == 0]
    for subject in mine:
        valkey.hset(f"kp1:{{0}}:u:{driven_clock.seconds // 60}", f"{subject}|convert|admitted", 5)
    driven_clock.advance(65)
    with django_assert_max_num_queries(14):
        book_closed_minutes(limit_store())
    assert len(mine) > 3
