"""What happened is kept for its time, and then forgotten in portions."""

from datetime import UTC, datetime, timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session

from accounts.models import Letter, User
from usage.books import retention
from usage.books.retention import forget_what_is_old
from usage.models import EscalationEvent, Notice, RateHit, UsageDay, UsageHour, UsageMinute
from usage.tasks import forget_what_is_old as task

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def usage(model, at, **fields):
    return model.objects.create(subject="k:1", start=at, **fields)


def usage_day(at):
    return usage(UsageDay, at, bucket=0)


def rate_hit(at):
    return RateHit.objects.create(subject="k:1", minute=at, kind="minute", route="convert", count=1)


def change(at):
    fields = {"cause": "strikes", "before": 1, "after": 2}
    return EscalationEvent.objects.create(subject="k:1", at=at, event_id=str(at), **fields)


@pytest.mark.parametrize(
    ("make", "days"),
    [
        (lambda at: usage(UsageHour, at), 90),
        (usage_day, 400),
        (rate_hit, 90),
        (change, 400),
    ],
    ids=["hours", "days", "hits", "changes"],
)
def test_each_kind_of_row_is_kept_for_its_time(make, days):
    old, young = make(NOW - timedelta(days=days, seconds=1)), make(NOW - timedelta(days=days))
    assert forget_what_is_old(NOW) == 1
    assert list(type(old).objects.all()) == [young]


def test_minutes_are_kept_for_a_week_and_go_by_whole_hours():
    old = [usage(UsageMinute, NOW - timedelta(days=7, minutes=minutes)) for minutes in (31, 32, 500)]
    kept = [usage(UsageMinute, NOW - timedelta(days=7) + timedelta(minutes=m)) for m in (-30, -1, 0)]
    assert forget_what_is_old(NOW) == len(old)
    assert set(UsageMinute.objects.all()) == set(kept)


def test_mail_is_forgotten_when_it_was_sent_or_given_up_and_never_while_it_is_owed(issue):
    key, _ = issue()
    long_ago, lately = NOW - timedelta(days=31), NOW - timedelta(days=29)

    def notice(once, **fields):
        Notice.objects.create(once=once, kind="suspension", key=key, created_at=long_ago, **fields)

    notice("sent", sent_at=long_ago)
    notice("given up", given_up_at=long_ago)
    notice("sent lately", sent_at=lately)
    notice("owed")
    assert forget_what_is_old(NOW) == 2
    assert set(Notice.objects.values_list("once", flat=True)) == {"sent lately", "owed"}


def test_letters_are_forgotten_a_week_after_they_were_sent_or_a_month_after_they_were_given_up():
    week, month = NOW - timedelta(days=7), NOW - timedelta(days=30)
    moment = timedelta(seconds=1)

    def letter(kind, **fields):
        Letter.objects.create(kind=kind, recipient="ada@example.com", created_at=month - moment, **fields)

    letter("sent", sent_at=week - moment)
    letter("sent lately", sent_at=week)
    letter("given up", given_up_at=month - moment)
    letter("given up lately", given_up_at=month)
    letter("owed")
    assert forget_what_is_old(NOW) == 2
    assert set(Letter.objects.values_list("kind", flat=True)) == {"sent lately", "given up lately", "owed"}


def test_sessions_are_forgotten_once_they_are_over_and_their_addresses_with_them(settings):
    user = User.objects.create_user("ada@example.com")
    day, weeks = timedelta(days=1), timedelta(seconds=settings.SESSION_COOKIE_AGE)
    for name, seen in (("over", NOW - weeks - day), ("good", NOW - weeks + day)):
        Session.objects.create(session_key=name, session_data="", expire_date=seen + weeks)
        UserSession.objects.create(user=user, session_key=name, ip="192.0.2.1", last_seen_at=seen)
    assert forget_what_is_old(NOW) == 2
    assert Session.objects.get().session_key == UserSession.objects.get().session_key == "good"


def test_it_goes_portion_by_portion_until_nothing_is_left(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(retention, "PORTION", 10)
    for minute in range(25):
        usage(UsageMinute, NOW - timedelta(days=8, minutes=minute))
    others = len(list(retention._old(NOW))) - 1
    with django_assert_num_queries(3 + others):
        assert forget_what_is_old(NOW) == 25


def test_a_run_that_takes_too_long_leaves_the_rest_to_the_next(monkeypatch):
    usage(UsageMinute, NOW - timedelta(days=8))
    with monkeypatch.context() as impatient:
        impatient.setattr(retention, "LONGEST_RUN", -1)
        assert forget_what_is_old(NOW) == 0
    assert forget_what_is_old(NOW) == 1


def test_the_worker_forgets_by_the_clock_on_the_wall():
    usage(UsageMinute, datetime.now(UTC) - timedelta(days=8))
    young = usage(UsageMinute, datetime.now(UTC))
    assert task() == 1
    assert UsageMinute.objects.get() == young
