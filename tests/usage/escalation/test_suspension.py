"""From the first strike to the suspension, through the guard; what SQL knows of it, and how staff end it."""

from contextlib import contextmanager

import pytest
import redis
from django.core import mail
from django.db import OperationalError, connection, transaction
from django.test import Client

from accounts.models import ApiKey, User
from tests.usage.escalation.customer import DAY, HOUR, MINUTE, Customer
from tests.usage.wsgi_client import WsgiClient
from usage import tasks
from usage.escalation import following, memory, reactivation, recording
from usage.escalation.reactivation import NotPossible
from usage.limits.store import limit_store
from usage.limits.upkeep import Cursor, changes_since, trace_of
from usage.models import EscalationEvent, EscalationPolicy, EscalationState, EscalationStep, Notice
from usage.subjects import bucket_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.usage.api_urls")]


@pytest.fixture(params=[Client, WsgiClient], ids=["middleware", "wsgi"])
def customer(request, issue, driven_clock):
    key, text = issue(minute_override=10, day_override=100_000)
    one = Customer(text, driven_clock, request.param)
    one.key = key
    return one


@pytest.fixture
def staff():
    return User.objects.create_user("sam@example.com", is_staff=True)


def status(key):
    return ApiKey.objects.get(pk=key.pk).status


def history(key):
    events = EscalationEvent.objects.filter(key=key).order_by("at", "id")
    return [(event.cause, event.before, event.after) for event in events]


def test_three_bad_minutes_lead_to_a_cooldown_that_says_when_it_ends(customer, driven_clock):
    answer = customer.climbs_to(2)
    assert (answer.status_code, answer.json()["code"]) == (429, "cooldown")
    assert answer.json()["retry_after"] == 300
    assert answer.headers["Retry-After"] == "300"
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    assert answer.headers["X-RateLimit-Reset"] == str(driven_clock.seconds + 300)
    assert answer.json()["escalation"]["tier"] == 2
    assert answer.json()["escalation"]["until"] == driven_clock.seconds + 300
    assert answer.json()["escalation"]["strikes_to_next_tier"] == 2
    driven_clock.advance(299)
    assert customer.asks().json()["retry_after"] == 1
    driven_clock.advance(1)
    assert customer.asks().status_code == 200


def test_the_short_dialect_and_problem_details_tell_of_a_block_as_well(customer):
    customer.climbs_to(3)
    short = customer.asks(path="/convert")
    assert (short.status_code, short.json()["error"]) == (429, "blocked")
    assert "3600 s" in short.json()["detail"]
    customer.headers["Accept"] = "application/problem+json"
    problem = customer.asks()
    assert problem.json()["type"].endswith("#abnormal-usage-detected")


def test_blocked_keys_keep_their_uncharged_routes(customer):
    customer.climbs_to(4)
    answer = customer.asks(path="/api/v1/jobs/job_1", method="get")
    assert (answer.status_code, answer.headers["X-RateLimit-Remaining"]) == (200, "0")


def test_the_request_that_causes_a_suspension_writes_it_down(customer):
    answer = customer.climbs_to(5)
    assert (answer.status_code, answer.json()["code"]) == (403, "key_suspended")
    assert "Retry-After" not in answer.headers
    assert status(customer.key) == ApiKey.Status.SUSPENDED
    assert EscalationState.objects.get(key=customer.key).escalation == 5
    assert history(customer.key) == [("strikes", 4, 5)]
    assert [notice.kind for notice in Notice.objects.all()] == ["suspension"]
    assert mail.outbox == []  # the worker's


def test_a_suspended_key_keeps_only_downloads_already_paid_for(customer, driven_clock):
    customer.climbs_to(5)
    driven_clock.advance(30 * DAY)
    assert customer.asks(path="/api/v1/jobs/job_1", method="get").status_code == 403
    assert customer.asks(path="/api/v1/downloads/token", method="get").status_code == 200


def test_the_email_of_the_day_block_is_owed_a_day_before_the_suspension(customer):
    customer.climbs_to(5)
    following.follow_changes(limit_store())
    first, second = EscalationEvent.objects.filter(after__gte=4).order_by("at")
    assert (first.after, second.after) == (4, 5)
    assert DAY <= (second.at - first.at).total_seconds() <= DAY + 5 * MINUTE
    assert {notice.kind for notice in Notice.objects.all()} == {"day_block", "suspension"}


def test_each_change_is_recorded_once_however_often_it_is_read(customer):
    customer.climbs_to(5)
    following.follow_changes(limit_store())
    once = history(customer.key)
    assert once == [("strikes", 1, 2), ("strikes", 2, 3), ("strikes", 3, 4), ("strikes", 4, 5)]
    following.FollowedUntil.objects.all().delete()
    following.follow_changes(limit_store())
    assert history(customer.key) == once
    assert Notice.objects.count() == 2


def test_a_bucket_that_was_built_anew_is_read_from_the_beginning_once(customer, valkey):
    customer.climbs_to(3)
    following.follow_changes(limit_store())
    once = history(customer.key)
    valkey.delete(f"kp1:{{{bucket_of(f'k:{customer.key.pk}')}}}:t")
    assert customer.asks().status_code == 429
    assert following.follow_changes(limit_store()) == 2
    assert following.follow_changes(limit_store()) == 0
    assert history(customer.key) == once


def test_what_another_worker_has_recorded_meanwhile_is_left_to_it(customer, monkeypatch):
    customer.climbs_to(3)
    read = following.changes_since

    def read_and_be_overtaken(store, cursors):
        found = read(store, cursors)
        monkeypatch.setattr(following, "changes_since", read)
        assert following.follow_changes(store) == 2
        return found

    monkeypatch.setattr(following, "changes_since", read_and_be_overtaken)
    following.follow_changes(limit_store())
    assert len(history(customer.key)) == 2
    assert following.follow_changes(limit_store()) == 0


def test_an_event_tells_the_bad_minute_that_tipped_the_scale(customer, driven_clock):
    customer.climbs_to(2)
    following.follow_changes(limit_store())
    (event,) = EscalationEvent.objects.all()
    assert (event.served, event.refused, event.minute_limit, event.strikes) == (10, 10, 10, 3)
    assert event.minute.timestamp() == driven_clock.seconds - 60
    assert event.until.timestamp() == driven_clock.seconds + 300
    assert event.route == "convert"


def test_without_sql_the_suspension_holds_and_the_worker_writes_it_down(customer, monkeypatch):
    customer.climbs_to(4)
    customer.clock.advance(DAY + MINUTE)
    customer.hammers_for_a_minute(), customer.hammers_for_a_minute()

    def no_sql(execute, sql, params, many, context):
        if "escalation" in sql:
            raise OperationalError("gone")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(no_sql):
        assert customer.asks().status_code == 403
    assert status(customer.key) == ApiKey.Status.ACTIVE
    assert customer.asks().status_code == 403
    following.follow_changes(limit_store())
    assert status(customer.key) == ApiKey.Status.SUSPENDED


def test_on_probation_the_third_tier_is_remembered_and_a_minute_of_grace_given(customer, staff, driven_clock):
    customer.climbs_to(5)
    assert reactivation.reactivate(customer.key, by=staff, reason="Wrote to us, mended it.") == 3
    assert status(customer.key) == ApiKey.Status.ACTIVE
    answer = customer.asks(12)
    assert (answer.status_code, answer.json()["escalation"]["tier"]) == (429, 3)
    driven_clock.advance(MINUTE)
    # That was within the grace; from here on two strikes lead to the day block.
    customer.hammers_for_a_minute()
    assert customer.asks().status_code == 200
    customer.hammers_for_a_minute()
    assert customer.asks().json()["escalation"]["tier"] == 4


def test_reactivated_clean_a_key_stands_on_the_ground(customer, staff):
    customer.climbs_to(5)
    assert reactivation.reactivate(customer.key, by=staff, reason="Our mistake.", clean=True) == 0
    answer = customer.asks()
    assert answer.status_code == 200
    assert limit_store().look(_subject(customer.key)).escalation == 0


def test_reactivation_is_felt_by_a_process_that_knew_the_key_as_suspended(
    customer, staff, driven_clock, monkeypatch
):
    customer.climbs_to(5)
    web = customer.door()
    assert web.post("/api/v1/convert", headers=customer.headers).status_code == 403
    reactivation.reactivate(customer.key, by=staff, reason="Mended.")
    # Five seconds later, on the process's own clock.
    from usage.guard import known_subjects

    real = known_subjects.time.monotonic
    monkeypatch.setattr(known_subjects.time, "monotonic", lambda: real() + 5)
    assert web.post("/api/v1/convert", headers=customer.headers).status_code == 200


def test_staff_end_a_block_early(customer, staff):
    customer.climbs_to(3)
    assert reactivation.reactivate(customer.key, by=staff, reason="Known bug of ours.") == 3
    assert customer.asks().status_code == 200


def test_the_moment_of_grace_in_force_is_given_by_a_process_that_read_the_ladder_long_ago(customer, staff):
    customer.climbs_to(3)
    policy = EscalationPolicy.objects.get()
    policy.grace_seconds = 600
    policy.save()
    assert limit_store().ladder.grace_seconds == 60
    reactivation.reactivate(customer.key, by=staff, reason="Mended.")
    kept = trace_of(limit_store(), _subject(customer.key).id)
    assert kept.grace_until == limit_store().now() + 600


def test_a_reactivation_has_a_person_a_reason_and_a_mail(customer, staff):
    customer.climbs_to(5)
    reactivation.reactivate(customer.key, by=staff, reason="  Mended.  ")
    following.follow_changes(limit_store())
    event = EscalationEvent.objects.get(cause="reactivated")
    assert (event.by, event.reason, event.before, event.after) == (staff, "Mended.", 5, 3)
    notice = Notice.objects.get(kind="reactivation")
    assert notice.facts == {"on_probation": True, "reason": "Mended.", "grace_seconds": 60, "escalation": 3}


def test_what_makes_no_sense_is_refused_in_words(customer, staff):
    with pytest.raises(NotPossible, match="neither suspended nor blocked"):
        reactivation.reactivate(customer.key, by=staff, reason="x")
    with pytest.raises(NotPossible, match="reason is required"):
        reactivation.suspend(customer.key, by=staff, reason=" ")
    reactivation.suspend(customer.key, by=staff, reason="Stolen.")
    with pytest.raises(NotPossible, match="suspended already"):
        reactivation.suspend(customer.key, by=staff, reason="Stolen.")
    ApiKey.objects.filter(pk=customer.key.pk).update(status=ApiKey.Status.REVOKED)
    with pytest.raises(NotPossible, match="revoked"):
        reactivation.reactivate(customer.key, by=staff, reason="x")


def test_staff_suspend_a_key_that_did_nothing(customer, staff):
    assert customer.asks().status_code == 200
    reactivation.suspend(customer.key, by=staff, reason="Stolen.")
    assert customer.asks().status_code == 403
    following.follow_changes(limit_store())
    assert history(customer.key) == [("suspended", 0, 5)]
    assert EscalationState.objects.get(key=customer.key).is_pending is False


def test_an_order_that_the_store_could_not_hear_is_told_later_and_once(customer, staff, monkeypatch):
    customer.climbs_to(5)
    monkeypatch.setattr(limit_store(), "client", redis.Redis.from_url("unix:///nowhere/valkey.sock"))
    reactivation.reactivate(customer.key, by=staff, reason="Mended.")
    assert EscalationState.objects.get(key=customer.key).is_pending is True
    assert customer.asks().status_code == 403  # the store still knows it as suspended
    monkeypatch.undo()
    limit_store()._clock = customer.clock
    try:
        assert reactivation.tell_pending(limit_store()) == 1
        assert customer.asks().status_code == 200
        state = EscalationState.objects.get(key=customer.key)
        assert state.is_pending is False
        assert reactivation.tell(limit_store(), state)
        following.follow_changes(limit_store())
        assert EscalationEvent.objects.filter(cause="reactivated").count() == 1
    finally:
        limit_store()._clock = None


@contextmanager
def orders_on_their_way():
    """Orders of staff that are given within are committed, and nobody has told the store of them yet."""
    orders = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reactivation, "tell", lambda store, state: orders.append(state))
        yield orders


def test_of_two_orders_at_once_the_later_one_holds_in_whichever_order_they_are_told(customer, staff):
    assert customer.asks().status_code == 200
    with orders_on_their_way() as orders:
        reactivation.suspend(customer.key, by=staff, reason="Stolen.")
        reactivation.reactivate(customer.key, by=staff, reason="No, it isn't.", clean=True)
    for order in reversed(orders):
        reactivation.tell(limit_store(), order)
    following.follow_changes(limit_store())
    assert status(customer.key) == ApiKey.Status.ACTIVE
    assert customer.asks().status_code == 200


def test_an_order_on_its_way_to_the_store_is_not_undone_by_what_comes_before_it(
    customer, staff, driven_clock
):
    subject = _subject(customer.key)  # as a process knows it that hasn't heard either
    assert customer.asks().status_code == 200
    with orders_on_their_way():
        reactivation.suspend(customer.key, by=staff, reason="Stolen.")
    for number in range(61):
        driven_clock.advance(3)
        decision = limit_store().insist(subject, "convert", f"lease {number}")
        limit_store().settle(subject, "convert", f"lease {number}")
    assert decision.escalation == 2
    following.follow_changes(limit_store())
    assert status(customer.key) == ApiKey.Status.SUSPENDED
    reactivation.tell_pending(limit_store())
    following.follow_changes(limit_store())
    assert status(customer.key) == ApiKey.Status.SUSPENDED
    assert limit_store().look(_subject(customer.key)).escalation == 5


def test_an_order_told_again_hides_no_change_that_came_after_it(customer, staff, driven_clock):
    customer.climbs_to(3)
    reactivation.reactivate(customer.key, by=staff, reason="Mended.")
    EscalationState.objects.update(is_pending=True)  # the store's answer was lost
    driven_clock.advance(MINUTE)
    customer.hammers_for_a_minute(), customer.hammers_for_a_minute()
    assert customer.asks().json()["escalation"]["tier"] == 4
    reactivation.tell_pending(limit_store())
    following.follow_changes(limit_store())
    assert EscalationState.objects.get(key=customer.key).escalation == 4


def test_an_order_is_not_lost_to_a_process_that_builds_the_bucket_as_it_was_before(
    customer, staff, valkey, monkeypatch
):
    customer.climbs_to(5)
    valkey.flushall()
    read = memory.remembered

    def read_before_the_order(bucket, now):
        monkeypatch.setattr(memory, "remembered", read)
        before = read(bucket, now)
        reactivation.reactivate(customer.key, by=staff, reason="Mended.")
        return before

    monkeypatch.setattr(memory, "remembered", read_before_the_order)
    memory.SqlMemory().build(limit_store(), bucket_of(f"k:{customer.key.pk}"))
    following.follow_changes(limit_store())
    assert status(customer.key) == ApiKey.Status.ACTIVE
    assert customer.asks().status_code == 200


@pytest.mark.parametrize("tier", [0, 1])
def test_below_tier_2_there_is_nothing_to_remember_on_probation(customer, staff, driven_clock, tier):
    EscalationPolicy.objects.update(probation=tier)
    customer.climbs_to(5)
    assert reactivation.reactivate(customer.key, by=staff, reason="Mended.") == 0
    driven_clock.advance(MINUTE)
    assert limit_store().look(_subject(customer.key)).escalation == 0


def test_an_older_change_that_comes_late_undoes_nothing(customer, staff):
    customer.climbs_to(5)
    bucket = bucket_of(f"k:{customer.key.pk}")
    _, changes = changes_since(limit_store(), {bucket: Cursor()})[bucket]
    EscalationEvent.objects.all().delete()
    reactivation.reactivate(customer.key, by=staff, reason="Mended.")
    recording.record(changes[-1])
    assert status(customer.key) == ApiKey.Status.ACTIVE
    assert EscalationState.objects.get(key=customer.key).escalation == 3


def test_changes_follow_in_order_where_staff_came_between(customer, staff):
    """The worker was away for all of it."""
    customer.climbs_to(2)
    reactivation.reactivate(customer.key, by=staff, reason="First.", clean=True)
    customer.clock.advance(MINUTE)
    customer.climbs_to(2)
    following.follow_changes(limit_store())
    assert history(customer.key) == [("strikes", 1, 2), ("reactivated", 2, 0), ("strikes", 1, 2)]
    assert EscalationState.objects.get(key=customer.key).escalation == 2


def test_an_address_is_blocked_for_days_and_never_suspended(issue, driven_clock):
    guest = Customer(None, driven_clock)
    guest.climbs_to(4)
    for _ in range(2):
        driven_clock.advance(DAY + MINUTE)
        guest.hammers_for_a_minute(), guest.hammers_for_a_minute()
        answer = guest.asks()
        assert (answer.status_code, answer.json()["escalation"]["tier"]) == (429, 4)
        assert answer.json()["retry_after"] == DAY
    following.follow_changes(limit_store())
    assert EscalationState.objects.get(subject="ip:127.0.0.1").key is None
    assert not Notice.objects.exists()


def test_where_the_ladder_ends_at_tier_1_no_strikes_lead_on(driven_clock):
    policy = EscalationPolicy.objects.get()
    policy.guests_highest = 1
    policy.save()
    guest = Customer(None, driven_clock)
    for _ in range(5):
        guest.hammers_for_a_minute(20)
    answer = guest.asks(20)
    assert answer.json()["code"] == "rate_limited"
    assert answer.json()["escalation"]["tier"] == 1
    assert answer.json()["escalation"]["strikes_to_next_tier"] is None


def test_an_edited_ladder_is_felt_by_the_next_request_and_a_running_block_keeps_its_end(
    customer, driven_clock
):
    customer.climbs_to(2)
    step = EscalationStep.objects.get(number=2)
    step.block_seconds = 30
    step.save()
    assert customer.asks().json()["retry_after"] == 300
    driven_clock.advance(6 * MINUTE)
    policy = EscalationPolicy.objects.get()
    policy.strike_refusals = policy.strike_percent = 1000
    policy.save()
    for _ in range(10):
        customer.hammers_for_a_minute()
    assert customer.asks().status_code == 200


def test_an_edited_ladder_that_the_store_could_not_hear_of_is_announced_again(customer):
    assert customer.asks().status_code == 200
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limit_store(), "client", redis.Redis.from_url("unix:///nowhere/valkey.sock"))
        policy = EscalationPolicy.objects.get()
        policy.strike_refusals = policy.strike_percent = 1000
        policy.save()
    tasks.announce_ladder()
    for _ in range(3):
        customer.hammers_for_a_minute()
    assert customer.asks().status_code == 200


def test_a_known_block_is_refused_without_a_round_trip_and_counted(customer, monkeypatch):
    customer.climbs_to(3)
    web = customer.door()
    assert web.post("/api/v1/convert", headers=customer.headers).status_code == 429
    monkeypatch.setattr(limit_store(), "decide", None)
    answer = web.post("/api/v1/convert", headers=customer.headers)
    assert (answer.status_code, answer.json()["code"]) == (429, "blocked")


def test_a_store_that_lost_everything_admits_neither_the_suspended_nor_the_blocked(
    customer, issue, staff, valkey, driven_clock
):
    _, text = issue(minute_override=10)
    other = Customer(text, driven_clock)
    other.climbs_to(4)
    until = driven_clock.seconds + DAY
    customer_suspended = reactivation.suspend(customer.key, by=staff, reason="Stolen.")
    assert customer_suspended is None
    following.follow_changes(limit_store())
    valkey.flushall()
    assert customer.asks().status_code == 403
    driven_clock.advance(HOUR)
    answer = other.asks()
    assert (answer.status_code, answer.json()["escalation"]["until"]) == (429, until)


def test_everything_happens_or_nothing(customer, staff):
    def suspend_and_break():
        with transaction.atomic():
            reactivation.suspend(customer.key, by=staff, reason="Stolen.")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        suspend_and_break()
    assert customer.asks().status_code == 200
    assert not EscalationEvent.objects.exists()


def _subject(key):
    from usage.subjects import of_key

    return of_key(ApiKey.objects.select_related("tier", "owner").get(pk=key.pk))
