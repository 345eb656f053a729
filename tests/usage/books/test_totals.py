"""Totals for staff are the sums of the books, whatever happens on the way."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection

from accounts.models import ApiKey, Tier, User
from usage.books import booking, totals
from usage.books.retention import forget_what_is_old
from usage.books.totals import total_what_is_booked
from usage.limits.store import limit_store
from usage.models import (
    BookedUntil,
    HitTotal,
    RateHit,
    TopSubject,
    TotalledUntil,
    UsageDay,
    UsageHour,
    UsageTotal,
)
from usage.models.usage import COUNTS
from usage.subjects import BUCKETS, bucket_of, key_id_of, key_subject_id, of_key, of_network

pytestmark = pytest.mark.django_db


@pytest.fixture
def ask(driven_clock):
    """Sends some requests of a subject, one after the other, as the guard does."""

    def send(subject, times=1):
        store = limit_store()
        for _ in range(times):
            lease = store.new_lease()
            if store.decide(subject, "convert", lease).admitted:
                store.settle(subject, "convert", lease)

    return send


@pytest.fixture
def book(driven_clock):
    """Lets the minute close, and brings it to the books."""

    def close():
        driven_clock.advance(65 - driven_clock.seconds % 60)
        booking.book_closed_minutes(limit_store())

    return close


def guest(network="192.0.2.1"):
    return of_network(network, Tier.objects.get(slug=Tier.ANONYMOUS))


def tier_of(subject):
    key_id = key_id_of(subject)
    if key_id is None:
        return "anonymous"
    key = ApiKey.objects.filter(pk=key_id).select_related("tier").first()
    return "" if key is None else key.tier.slug


def summed_up():
    """What the books come to, one row after the other."""
    tiers, kinds = {}, Counter()
    for row in UsageHour.objects.all():
        of_tier = tiers.setdefault((row.start, tier_of(row.subject)), Counter())
        of_tier.update({name: getattr(row, name) for name in COUNTS})
    for hit in RateHit.objects.all():
        kinds[hit.minute.replace(minute=0), hit.kind] += hit.count
    newest = UsageDay.objects.order_by("-start").first()
    today = list(UsageDay.objects.filter(start=newest.start)) if newest else []
    tops = {
        by: [
            (row.subject, row.admitted, row.refused)
            for row in sorted(today, key=lambda row: (-number(row), row.subject))
            if number(row)
        ][: totals.TOP]
        for by, number in (("served", lambda row: row.admitted), ("refused", lambda row: row.refused))
    }
    return tiers, dict(kinds), tops


def totalled():
    tiers = {
        (row.start, row.tier): Counter({name: getattr(row, name) for name in COUNTS})
        for row in UsageTotal.objects.all()
    }
    kinds = {(row.start, row.kind): row.count for row in HitTotal.objects.all()}
    tops = {
        by: [(row.subject, row.served, row.refused) for row in TopSubject.objects.filter(by=by)]
        for by in ("served", "refused")
    }
    return tiers, kinds, tops


def test_they_are_the_sums_of_the_books_under_traffic_of_all_tiers(issue, ask, book, driven_clock):
    driven_clock.set("2026-02-28T23:40:00")
    free, pro = issue()[0], issue(tier=Tier.objects.get(slug="pro"))[0]
    small = issue(minute_override=2, day_override=10)[0]
    for minute in range(32):
        ask(of_key(free), minute % 7)
        ask(of_key(pro), minute % 3)
        ask(guest(), 15)
        ask(guest("2001:db8::/56"))
        ask(of_key(small), 3)
        driven_clock.advance(60)
        if minute % 8 == 7:
            book()
            total_what_is_booked()
    tiers, kinds, tops = totalled()
    assert (tiers, kinds, tops) == summed_up()
    assert {tier for _, tier in tiers} == {"anonymous", "free", "pro"}
    assert {kind for _, kind in kinds} == {"minute", "day", "cooldown", "blocked"}
    assert sum(counts["admitted"] for counts in tiers.values()) == sum(
        UsageDay.objects.values_list("admitted", flat=True)
    )
    assert all(tops.values())


def test_a_run_with_nothing_new_asks_two_questions(issue, ask, book, django_assert_num_queries):
    ask(of_key(issue()[0]))
    book()
    assert total_what_is_booked() == 1
    with django_assert_num_queries(2):
        assert total_what_is_booked() == 0


def test_more_keys_cost_no_more_statements(driven_clock, django_assert_max_num_queries):
    hour = driven_clock.at
    for number in range(300):
        fields = {"subject": f"ip:{number}", "start": hour, "admitted": 1, "minute_hits": number}
        UsageHour.objects.create(**fields)
        UsageDay.objects.create(**fields | {"start": hour.replace(hour=0), "bucket": 0})
    BookedUntil.objects.bulk_create(
        BookedUntil(bucket=bucket, minute=driven_clock.seconds // 60) for bucket in range(BUCKETS)
    )
    with django_assert_max_num_queries(18):
        total_what_is_booked()
    assert totalled() == summed_up()
    assert TopSubject.objects.count() == 2 * totals.TOP


def test_a_key_counts_under_the_tier_it_has_when_its_hour_is_summed_up(issue, ask, book, driven_clock):
    key = issue()[0]
    ask(of_key(key))
    book()
    total_what_is_booked()
    key.tier = Tier.objects.get(slug="pro")
    key.save()
    ask(of_key(key))
    book()
    total_what_is_booked()
    assert [(row.tier, row.admitted) for row in UsageTotal.objects.all()] == [("pro", 2)]
    driven_clock.advance(3600)
    book()
    total_what_is_booked()
    key.tier = Tier.objects.get(slug="free")
    key.save()
    ask(of_key(key))
    book()
    total_what_is_booked()
    assert [(row.tier, row.admitted) for row in UsageTotal.objects.all()] == [("free", 1), ("pro", 2)]


def test_keys_that_were_deleted_still_count(issue, ask, book):
    key = issue()[0]
    ask(of_key(key), 3)
    User.objects.all().delete()
    book()
    total_what_is_booked()
    assert [(row.tier, row.admitted) for row in UsageTotal.objects.all()] == [("", 3)]


def test_the_first_run_sums_up_the_past_and_one_that_takes_long_leaves_the_rest(
    ask, book, driven_clock, monkeypatch
):
    for _ in range(5):
        ask(guest(), 12)
        book()
        driven_clock.advance(3600)
    with monkeypatch.context() as impatient:
        impatient.setattr(totals, "LONGEST_RUN", -1)
        assert total_what_is_booked() == 0
    steps = iter([0.0, 1.0, 1.0, 100.0])
    with monkeypatch.context() as slow:
        slow.setattr(totals.time, "monotonic", lambda: next(steps))
        assert total_what_is_booked() == 2
    assert UsageTotal.objects.count() == 2
    assert not TopSubject.objects.exists()
    assert total_what_is_booked() == 3
    assert totalled() == summed_up()


def test_a_bucket_that_was_behind_is_added_when_it_is_booked(ask, book, driven_clock, monkeypatch):
    late, other = "ip:192.0.2.1", "ip:192.0.2.2"
    assert bucket_of(late) != bucket_of(other)
    for hour in range(3):
        for subject in (late, other):
            start = driven_clock.at + timedelta(hours=hour)
            UsageHour.objects.create(subject=subject, start=start, admitted=1)
    UsageDay.objects.create(subject=other, start=driven_clock.at.replace(hour=0), admitted=3, bucket=0)
    minute = driven_clock.seconds // 60
    BookedUntil.objects.create(bucket=bucket_of(other), minute=minute + 150)
    BookedUntil.objects.create(bucket=bucket_of(late), minute=minute + 10)
    total_what_is_booked()
    UsageHour.objects.filter(subject=late).update(admitted=5)
    BookedUntil.objects.filter(bucket=bucket_of(late)).update(minute=minute + 70)
    assert total_what_is_booked() == 2
    sums = UsageTotal.objects.order_by("start").values_list("admitted", flat=True)
    assert list(sums) == [6, 6, 2]


class Killed(DatabaseError):
    pass


@pytest.mark.django_db(transaction=True)
def test_killed_at_any_statement_and_run_again_they_are_the_sums(issue, ask, book, driven_clock):
    driven_clock.set("2026-02-28T23:58:00")
    key = issue()[0]
    for _ in range(4):
        ask(guest(), 12)
        ask(of_key(key), 2)
        book()
    killed_at = 0
    while True:
        killed_at += 1
        for model in (UsageTotal, HitTotal, TopSubject, TotalledUntil):
            model.objects.all().delete()
        statements = 0

        def kill(execute, sql, params, many, context, killed_at=killed_at):
            nonlocal statements
            statements += 1
            if statements == killed_at:
                raise Killed(sql)
            return execute(sql, params, many, context)

        try:
            with connection.execute_wrapper(kill):
                total_what_is_booked()
        except Killed:
            total_what_is_booked()
            assert totalled() == summed_up(), f"killed at statement {killed_at}"
            continue
        break
    assert killed_at > 20
    assert totalled() == summed_up()


@pytest.mark.django_db(transaction=True)
def test_of_two_runs_at_once_the_slower_one_writes_nothing(ask, book, monkeypatch):
    for _ in range(2):
        ask(guest(), 12)
        book()
    both_have_summed_up = threading.Barrier(2)
    sum_up = totals._by_kind

    def sum_up_and_wait(hour):
        found = sum_up(hour)
        both_have_summed_up.wait(10)
        return found

    monkeypatch.setattr(totals, "_by_kind", sum_up_and_wait)
    hours, broken = [], []

    def run():
        try:
            hours.append(total_what_is_booked())
        except Exception as error:
            broken.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert broken == []
    assert sorted(hours) == [0, 1]
    assert totalled() == summed_up()


def test_they_are_kept_as_long_as_days_are():
    now = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    for days in (399, 401):
        start = now - timedelta(days=days)
        UsageTotal.objects.create(start=start, tier="free")
        HitTotal.objects.create(start=start, kind="minute", count=1)
    assert forget_what_is_old(now) == 2
    assert UsageTotal.objects.count() == HitTotal.objects.count() == 1


def test_what_is_refused_by_an_endpoint_limit_counts_under_its_name(driven_clock):
    hour = driven_clock.at
    RateHit.objects.create(subject="ip:192.0.2.1", minute=hour, kind="login", route="login", count=3)
    RateHit.objects.create(
        subject="ip:192.0.2.2", minute=hour + timedelta(minutes=59), kind="login", route="login", count=4
    )
    RateHit.objects.create(
        subject="ip:192.0.2.2", minute=hour + timedelta(minutes=60), kind="login", route="login", count=8
    )
    subject = key_subject_id(1)
    UsageHour.objects.create(subject=subject, start=hour, other_hits=7)
    BookedUntil.objects.create(bucket=0, minute=driven_clock.seconds // 60 + 1)
    total_what_is_booked()
    assert [(row.kind, row.count) for row in HitTotal.objects.all()] == [("login", 7)]
