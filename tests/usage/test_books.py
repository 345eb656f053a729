"""What the limit store counted comes to SQL once, whatever happens on the way; pages tell the same number."""

import pytest
from django.db import DatabaseError

from usage import books
from usage.limits.store import limit_store
from usage.models import BookedUntil, RateHit
from usage.standing import standing_of
from usage.subjects import of_key

pytestmark = pytest.mark.django_db


def hit(key, times):
    """Requests of a key of one a minute: the first is admitted, the others are hits."""
    store = limit_store()
    for _ in range(times + 1):
        lease = store.new_lease()
        if store.decide(of_key(key), "convert", lease).admitted:
            store.settle(of_key(key), "convert", lease)


def rows():
    return list(RateHit.objects.values_list("subject", "kind", "route", "count"))


def test_the_open_minute_is_not_booked(issue, driven_clock):
    key, _ = issue(minute_override=1)
    hit(key, 3)
    assert books.book_closed_minutes(limit_store()) == 0


def test_a_closed_minute_is_booked_once_however_often_it_runs(issue, driven_clock):
    key, _ = issue(minute_override=1)
    hit(key, 3)
    driven_clock.advance(60)
    for _ in range(3):
        books.book_closed_minutes(limit_store())
    assert rows() == [(f"k:{key.pk}", "minute", "convert", 3)]
    BookedUntil.objects.all().delete()
    books.book_closed_minutes(limit_store())
    assert rows() == [(f"k:{key.pk}", "minute", "convert", 3)]


def test_each_minute_is_booked_when_it_has_closed_and_none_is_left_out(issue, driven_clock):
    key, _ = issue(minute_override=1)
    for hits in (1, 2, 3):
        hit(key, hits)
        driven_clock.advance(60)
        books.book_closed_minutes(limit_store())
    assert sorted(count for *_, count in rows()) == [1, 2, 3]


def test_a_flush_that_broke_is_made_good_by_the_next(issue, driven_clock, monkeypatch):
    keys = [issue(minute_override=1)[0] for _ in range(8)]
    for key in keys:
        hit(key, 2)
    driven_clock.advance(60)
    book, seen = books._book_bucket, []

    def break_in_the_middle(store, bucket, *span):
        seen.append(bucket)
        if len(seen) == 30:
            raise DatabaseError("gone")
        return book(store, bucket, *span)

    monkeypatch.setattr(books, "_book_bucket", break_in_the_middle)
    with pytest.raises(DatabaseError):
        books.book_closed_minutes(limit_store())
    monkeypatch.undo()
    limit_store()._clock = driven_clock
    books.book_closed_minutes(limit_store())
    assert sorted(rows()) == sorted((f"k:{key.pk}", "minute", "convert", 2) for key in keys)
    limit_store()._clock = None


def test_a_page_tells_the_same_number_of_hits_before_and_after_booking(issue, driven_clock):
    key, _ = issue(minute_override=1)
    for _ in range(3):
        hit(key, 2)
        driven_clock.advance(60)
    before = standing_of(key)
    books.book_closed_minutes(limit_store())
    after = standing_of(key)
    assert before.hits_24h == after.hits_24h == 6
    assert before.recent_hits == after.recent_hits
    assert [one.count for one in after.recent_hits] == [2, 2, 2]


def test_hits_older_than_a_day_are_left_out_to_the_minute(issue, driven_clock):
    key, _ = issue(minute_override=1)
    hit(key, 2)
    driven_clock.advance(60)
    books.book_closed_minutes(limit_store())
    driven_clock.advance(86_400 - 120)
    assert standing_of(key).hits_24h == 2
    driven_clock.advance(60)
    assert standing_of(key).hits_24h == 0


def test_a_standing_is_what_the_limiter_counts(issue, driven_clock):
    key, _ = issue(minute_override=4)
    hit(key, 7)
    standing = standing_of(key)
    day, minute, concurrent = standing.quotas
    assert (minute.used, minute.limit, minute.left, minute.level, minute.source) == (
        4,
        4,
        0,
        "full",
        "this key's override",
    )
    assert (day.used, day.limit, day.level, day.source) == (4, 1000, "ok", "Free tier")
    assert (concurrent.used, concurrent.limit) == (0, 5)
    assert (minute.resets_at.timestamp(), day.resets_at.hour) == (driven_clock.seconds + 60, 0)
    assert (standing.escalation, standing.live) == (1, True)


def test_without_the_store_a_standing_knows_what_is_booked_and_says_so(issue, driven_clock, monkeypatch):
    key, _ = issue()
    monkeypatch.setattr(limit_store(), "url", "unix:///nowhere/valkey.sock")
    monkeypatch.setattr(limit_store(), "_threads", type(limit_store()._threads)())
    standing = standing_of(key)
    assert (standing.live, standing.hits_24h) == (False, 0)
    assert [quota.limit for quota in standing.quotas] == [1000, 30, 5]
