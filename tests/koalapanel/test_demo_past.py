"""What the sample accounts did before anybody looked: it agrees with itself, and with the limits."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction
from django.db.models import Sum
from django.test import override_settings

from accounts.models import ApiKey, AuditEntry, KeySecret, User
from koalapanel.demo import accounts
from usage.books.booking import book_closed_minutes
from usage.escalation.memory import remembered
from usage.limits.outcomes import column_of
from usage.limits.store import limit_store
from usage.models import (
    BookedUntil,
    EscalationEvent,
    EscalationState,
    Notice,
    RateHit,
    ReactivationRequest,
    UsageDay,
    UsageHour,
    UsageMinute,
)
from usage.models.usage import COUNTS
from usage.spans import DAY, HOUR, MINUTE, day_start, hour_start
from usage.subjects import BUCKETS, bucket_of, key_subject_id

NOW = datetime(2026, 3, 20, 22, 41, 30, tzinfo=UTC)  # late: today's limits are the nearest
HITS = [count for count in COUNTS if count.endswith("_hits")]


@pytest.fixture(scope="class")
def told(django_db_setup, django_db_blocker, tmp_path_factory):
    """What is printed at a first start; that is done once for all tests of a class, which only look."""
    with (
        django_db_blocker.unblock(),
        time_machine.travel(NOW, tick=False),
        override_settings(VAR_DIR=tmp_path_factory.mktemp("var")),
        transaction.atomic(),
    ):
        yield accounts.prepare()
        transaction.set_rollback(True)


@pytest.fixture
def first_start(db, settings, tmp_path):
    """Starts the demo, the first time or again."""
    settings.VAR_DIR = tmp_path
    with time_machine.travel(NOW, tick=False):
        yield accounts.prepare


def key_of(email, name):
    return ApiKey.objects.select_related("tier").get(owner__email=email, name=name)


def sums_of(model, span):
    """By subject and the start of the span that its rows are in, each count."""
    sums = Counter()
    for row in model.objects.all():
        for count in COUNTS:
            sums[row.subject, span(row.start), count] += getattr(row, count)
    return +sums


class TestTheBooks:
    def test_go_back_thirty_days_with_minutes_for_a_week(self, told):
        assert UsageDay.objects.order_by("start").first().start == day_start(NOW) - 29 * DAY
        assert UsageHour.objects.order_by("start").first().start.date() == (NOW - 29 * DAY).date()
        first = UsageMinute.objects.order_by("start").first().start
        assert NOW - 7 * DAY - HOUR <= first <= NOW - 7 * DAY + HOUR

    def test_days_are_the_sums_of_hours_and_hours_of_the_minutes_that_are_kept(self, told):
        assert sums_of(UsageHour, day_start) == sums_of(UsageDay, day_start)
        kept = hour_start(NOW - 7 * DAY)
        hours = {key: n for key, n in sums_of(UsageHour, hour_start).items() if key[1] >= kept}
        assert sums_of(UsageMinute, hour_start) == hours

    def test_what_refused_is_counted_where_it_is_sampled(self, told):
        hits = Counter()
        for hit in RateHit.objects.all():
            assert hit.address
            hits[hit.subject, day_start(hit.minute), column_of(hit.kind)] += hit.count
        days = sums_of(UsageDay, day_start)
        assert hits == {key: number for key, number in days.items() if key[2] in HITS}

    def test_nobody_was_served_more_than_their_limits(self, told):
        for key in ApiKey.objects.select_related("tier"):
            subject = key_subject_id(key.pk)
            for row in UsageMinute.objects.of_subject(subject):
                assert row.admitted <= key.limits.minute
                assert not row.minute_hits or row.admitted == key.limits.minute
            assert all(row.admitted < 0.75 * key.limits.day for row in UsageDay.objects.of_subject(subject))

    def test_the_living_clients_have_something_left_of_today(self, told):
        for bucket in range(BUCKETS):
            for one in remembered(bucket, int(NOW.timestamp())):
                assert one.day_count <= 600 or one.subject == key_subject_id(
                    key_of("ben@example.com", "nightly batch").pk
                )

    def test_each_chart_has_something_to_show_of_each_living_key(self, told):
        for email, name in (
            ("polly@example.com", "web shop"),
            ("ben@example.com", "nightly batch"),
            ("harry@example.com", "prod"),
            ("fiona@example.com", "archive"),
        ):
            subject = key_subject_id(key_of(email, name).pk)
            assert UsageHour.objects.of_subject(subject).filter(start__gte=NOW - 24 * HOUR).count() >= 4
            assert UsageDay.objects.of_subject(subject).count() >= 26

    def test_nothing_is_written_of_the_present_minute_and_booking_begins_as_ever(self, told):
        assert not UsageMinute.objects.filter(start__gte=NOW.replace(second=0)).exists()
        assert not BookedUntil.objects.exists()


class TestTheLadder:
    def test_each_suspension_and_block_follows_from_bad_minutes_that_the_hits_show(self, told):
        struck = EscalationEvent.objects.filter(cause="strikes")
        assert set(struck.values_list("after", flat=True)) == {2, 3, 4, 5}
        for event in struck:
            hit = RateHit.objects.get(subject=event.subject, minute=event.minute, kind="minute")
            assert hit.count == event.refused
            assert event.refused >= max(5, event.minute_limit // 5)
            bad = RateHit.objects.filter(
                subject=event.subject, kind="minute", minute__range=(event.at - 10 * MINUTE, event.minute)
            )
            assert bad.count() == event.strikes

    def test_nothing_was_served_in_a_block(self, told):
        for event in EscalationEvent.objects.filter(cause="strikes"):
            end = event.until or event.at + 12 * HOUR
            within = UsageMinute.objects.of_subject(event.subject).filter(
                start__gt=event.at, start__lt=end - MINUTE
            )
            assert not within.aggregate(sum=Sum("admitted"))["sum"]

    def test_one_key_is_suspended_and_its_owner_waits_for_staff(self, told):
        key = key_of("harry@example.com", "scraper")
        state = EscalationState.objects.get(key=key)
        assert (key.status, state.escalation, state.until) == ("suspended", 5, None)
        asked = ReactivationRequest.objects.get(status="waiting")
        assert (asked.key, asked.suspension.after, asked.sent_by.email) == (key, 5, "harry@example.com")
        assert [
            one.escalation
            for one in remembered(bucket_of(state.subject), int(NOW.timestamp()))
            if one.escalation
        ] == [5]

    def test_another_was_reactivated_by_support_and_is_on_the_ground(self, told):
        key = key_of("harry@example.com", "prod")
        last = EscalationEvent.objects.of_subject(key_subject_id(key.pk)).first()
        assert (last.cause, last.before, last.after, last.by.email) == (
            "reactivated",
            5,
            0,
            "sue@example.com",
        )
        assert (key.status, EscalationState.objects.get(key=key).escalation) == ("active", 0)
        assert AuditEntry.objects.about(key).get(action="reactivated").reason == last.reason

    def test_a_block_that_is_over_has_eased_by_itself(self, told):
        key = key_of("ben@example.com", "nightly batch")
        events = EscalationEvent.objects.of_subject(key_subject_id(key.pk)).order_by("at")
        assert [(event.before, event.after) for event in events] == [(1, 2), (2, 3), (3, 2), (2, 0)]
        assert events[1].until - events[1].at == HOUR
        calm = RateHit.objects.filter(
            subject=events[0].subject, minute__range=(events[1].until, events[3].at)
        )
        assert not calm.exists()

    def test_its_mail_was_sent_then_and_is_not_sent_again(self, told):
        assert Notice.objects.count() >= 4
        assert not Notice.objects.waiting().exists()


class TestKeys:
    def test_there_are_some_of_every_kind(self, told):
        assert key_of("polly@example.com", "old web shop").status == "revoked"
        assert key_of("polly@example.com", "staging").expires_at - NOW == 5 * DAY
        assert key_of("polly@example.com", "rehearsal").is_rehearsal
        assert not KeySecret.objects.get(key__name="scanner").last_used_at
        assert KeySecret.objects.get(key__name="scraper").last_used_at < NOW

    def test_each_was_made_before_it_was_used(self, told):
        for key in ApiKey.objects.all():
            assert NOW - 251 * DAY < key.created_at < NOW - 2 * DAY
            first = UsageHour.objects.of_subject(key_subject_id(key.pk)).order_by("start").first()
            assert first is None or key.created_at < first.start

    def test_the_audit_log_has_what_was_done(self, told):
        done = set(AuditEntry.objects.values_list("action", "actor_label"))
        assert done >= {
            ("created", "polly@example.com"),
            ("revoked", "polly@example.com"),
            ("changed limits", "lionel@example.com"),
            ("reactivated", "sue@example.com"),
        }
        assert not AuditEntry.objects.filter(at__gt=NOW).exists()


class TestStarts:
    def test_a_second_one_writes_nothing(self, first_start):
        first_start()
        models = (UsageMinute, RateHit, EscalationEvent, ApiKey, AuditEntry)
        rows = [model.objects.count() for model in models]
        first_start()
        assert rows == [model.objects.count() for model in models]

    def test_one_where_somebody_has_been_writes_nothing(self, first_start):
        User.objects.create_user("olivia@example.com")
        first_start()
        assert not UsageDay.objects.exists()
        assert not EscalationEvent.objects.exists()
        assert ApiKey.objects.count() == 5

    def test_each_writes_the_same_and_takes_no_time_that_anybody_notices(self, first_start):
        found = []
        for _ in range(2):
            began = time.process_time()
            with transaction.atomic():
                first_start()
                found.append(sorted(UsageDay.objects.values_list("start", *COUNTS)))
                transaction.set_rollback(True)
            assert time.process_time() - began < 3
        assert found[0] == found[1]

    def test_after_it_the_living_minutes_are_booked_on_top(self, first_start, valkey):
        first_start()
        subject = key_subject_id(key_of("polly@example.com", "web shop").pk)
        before = UsageDay.objects.of_subject(subject).get(start=day_start(NOW)).admitted
        book_closed_minutes(limit_store())
        assert UsageDay.objects.of_subject(subject).get(start=day_start(NOW)).admitted == before
        assert BookedUntil.objects.count() == BUCKETS

    @pytest.mark.parametrize("ago", [timedelta(hours=11), timedelta(days=3, hours=20)])
    def test_whenever_it_is_it_tells_of_the_past_alone(self, first_start, ago):
        with time_machine.travel(NOW - ago, tick=False):
            first_start()
        assert not UsageMinute.objects.filter(start__gt=NOW - ago).exists()
        assert not EscalationEvent.objects.filter(at__gt=NOW - ago).exists()
        suspended_at = EscalationState.objects.get(escalation=5).changed_at
        assert ReactivationRequest.objects.get(status="waiting").sent_at > suspended_at
