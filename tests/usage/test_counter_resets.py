"""Staff reset counters, release leases, change limits and lift blocks; the next request is decided by it."""

import threading
from uuid import uuid4

import pytest
import redis
from django.db import connection

from accounts.keys import actions
from accounts.models import AuditEntry, Tier, User
from tests.usage.escalation.customer import Customer
from usage.books.booking import book_closed_minutes
from usage.counter_resets import AWAY, release_leases, reset_counters
from usage.escalation import reactivation
from usage.escalation.following import follow_changes
from usage.escalation.reactivation import NotPossible
from usage.limits.breaker import Breaker
from usage.limits.store import limit_store
from usage.models import CounterReset, EscalationState, Notice, UsageDay
from usage.subjects import key_subject_id, of_key

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.usage.api_urls")]


@pytest.fixture(autouse=True)
def _clock(driven_clock):
    return driven_clock


@pytest.fixture
def staff(db):
    return User.objects.create_user("sam@example.com", is_staff=True)


@pytest.fixture
def customer(issue, driven_clock):
    """Somebody with a key for 5 requests a minute and 10 a day."""
    key, text = issue(minute_override=5, day_override=10)
    one = Customer(text, driven_clock)
    one.key, one.subject = key, key_subject_id(key.pk)
    return one


def reset(customer, staff, *counters, order=None):
    return reset_counters(
        customer.subject, by=staff, reason="Our mistake", order=order or uuid4(), counters=counters
    )


def test_after_a_reset_the_next_request_is_admitted(customer, staff):
    assert customer.asks(6).status_code == 429
    reset(customer, staff, "minute")
    assert customer.asks().status_code == 200
    assert customer.asks(5).status_code == 429


def test_a_reset_day_admits_as_many_as_it_has(customer, staff, driven_clock):
    for _ in range(2):
        customer.asks(5)
        driven_clock.advance(60)
    refused = customer.asks()
    assert refused.status_code == 429
    assert refused.json()["limit"] == "day"
    reset(customer, staff, "day")
    assert customer.asks().status_code == 200
    assert limit_store().look(of_key(customer.key)).day_count == 1


def test_it_is_in_the_audit_log_with_what_was_counted(customer, staff):
    customer.asks(9)
    reset(customer, staff, "minute", "strikes")
    entry = AuditEntry.objects.about(customer.key).get()
    assert (entry.action, entry.actor, entry.reason) == ("reset counters", staff, "Our mistake")
    assert entry.before == {"minute": 5, "strikes": 0, "refusals": 4, "warned": True}
    assert entry.after == {"minute": 0, "strikes": 0, "refusals": 0, "warned": False}


def test_the_same_form_sent_twice_is_carried_out_once(customer, staff):
    customer.asks(5)
    order = uuid4()
    assert reset(customer, staff, "minute", order=order).minute == 5
    customer.asks(3)
    assert reset(customer, staff, "minute", order=order) is None
    assert limit_store().look(of_key(customer.key)).minute_count == 3
    assert AuditEntry.objects.count() == 1


def test_nothing_to_reset_is_no_entry(customer, staff):
    with pytest.raises(NotPossible, match="nothing to reset"):
        reset(customer, staff, "minute", "day", "strikes")
    assert not AuditEntry.objects.exists()


def test_a_form_that_found_nothing_may_be_sent_again_with_more_chosen(customer, staff, driven_clock):
    customer.asks(3)
    driven_clock.advance(60)
    order = uuid4()
    with pytest.raises(NotPossible, match="nothing to reset"):
        reset(customer, staff, "minute", order=order)
    assert reset(customer, staff, "minute", "day", order=order).day == 3
    assert limit_store().look(of_key(customer.key)).day_count == 0


def test_a_form_that_found_nothing_does_what_it_says_once_there_is_something(customer, staff):
    order = uuid4()
    with pytest.raises(NotPossible, match="nothing to reset"):
        reset(customer, staff, "minute", order=order)
    customer.asks(3)
    assert reset(customer, staff, "minute", order=order).minute == 3
    assert limit_store().look(of_key(customer.key)).minute_count == 0


def test_a_warning_alone_is_something_to_reset(customer, staff, driven_clock):
    customer.asks(6)
    driven_clock.advance(60)
    customer.asks()  # judges the minute before: too few refusals for a strike
    assert limit_store().look(of_key(customer.key)).escalation == 1
    reset(customer, staff, "strikes")
    assert limit_store().look(of_key(customer.key)).escalation == 0
    entry = AuditEntry.objects.get()
    assert entry.before == {"strikes": 0, "refusals": 0, "warned": True}
    assert entry.after == {"strikes": 0, "refusals": 0, "warned": False}


def test_without_the_limit_store_nothing_is_done_and_nothing_is_written(customer, staff, monkeypatch):
    customer.asks(5)
    monkeypatch.setattr(limit_store().client, "eval", _is_away)
    with pytest.raises(NotPossible, match="can't be asked"):
        reset(customer, staff, "minute")
    with pytest.raises(NotPossible) as refused:
        release_leases(customer.subject, by=staff, reason="Stuck", order=uuid4())
    assert str(refused.value) == AWAY
    assert not AuditEntry.objects.exists()
    assert not CounterReset.objects.exists()


def _is_away(*words):
    raise redis.ConnectionError("gone")


def test_a_reset_whose_entry_could_not_be_written_is_written_by_the_same_form(customer, staff, monkeypatch):
    customer.asks(5)
    order = uuid4()
    with monkeypatch.context() as patch:
        patch.setattr("usage.counter_resets.audit.record", _is_broken)
        with pytest.raises(RuntimeError):
            reset(customer, staff, "minute", order=order)
    assert not AuditEntry.objects.exists()
    reset(customer, staff, "minute", order=order)
    assert AuditEntry.objects.get().before == {"minute": 5}


def _is_broken(*args, **kwargs):
    raise RuntimeError("the database has gone")


def test_the_books_keep_a_day_that_was_reset(customer, staff, driven_clock):
    customer.asks(4)
    reset(customer, staff, "day", "minute")
    customer.asks(2)
    driven_clock.advance(120)
    book_closed_minutes(limit_store())
    assert UsageDay.objects.get(subject=customer.subject).admitted == 6


def test_a_lost_store_remembers_the_reset_and_what_was_charged_since(customer, staff, driven_clock, valkey):
    customer.asks(4)
    reset(customer, staff, "day", "minute")
    customer.asks(1)
    reset(customer, staff, "day")
    customer.asks(2)
    driven_clock.advance(120)
    book_closed_minutes(limit_store())
    valkey.flushall()
    limit_store().breaker = Breaker()
    assert limit_store().look(of_key(customer.key)).day_count == 2


def test_mail_about_the_days_quota_counts_from_the_reset(customer, staff, driven_clock):
    customer.asks(5)
    driven_clock.advance(60)
    customer.asks(2)
    reset(customer, staff, "day")
    customer.asks(2)
    driven_clock.advance(120)
    book_closed_minutes(limit_store())
    assert UsageDay.objects.get().admitted == 9  # of 10
    assert not Notice.objects.exists()


def test_a_guests_counters_are_reset_too(staff, driven_clock):
    guest = Customer(None, driven_clock)
    assert guest.asks(11).status_code == 429
    reset_counters("ip:127.0.0.1", by=staff, reason="A school", order=uuid4(), counters=("minute",))
    assert guest.asks().status_code == 200
    assert AuditEntry.objects.about(EscalationState.objects.get()).get().before == {"minute": 10}


def test_a_released_lease_makes_room_for_the_next_request(issue, staff):
    key, _ = issue(concurrent_override=1)
    subject = of_key(key)
    limit_store().decide(subject, "convert", "stuck")
    assert not limit_store().look(subject).admitted
    assert release_leases(subject.id, by=staff, reason="A worker died", order=uuid4(), lease="stuck") == 1
    assert limit_store().look(subject).admitted
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.before, entry.after) == (
        "released leases",
        {"in_flight": 1},
        {"in_flight": 0},
    )
    with pytest.raises(NotPossible, match="ended meanwhile"):
        release_leases(subject.id, by=staff, reason="Again", order=uuid4(), lease="stuck")


def test_two_who_reset_at_once_forgive_each_request_once(customer, staff):
    customer.asks(5)
    done = []

    def do():
        try:
            done.append(reset(customer, staff, "day"))
        except NotPossible:
            done.append(None)
        finally:
            connection.close()

    threads = [threading.Thread(target=do) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 2
    assert sum(row.forgiven for row in CounterReset.objects.all()) == 5
    assert AuditEntry.objects.count() == 1


def change_limits(key, staff, **changes):
    fields = {"revision": key.revision, "tier": key.tier, "overrides": {}, "reason": "Asked for it"}
    return actions.change_limits(key, by=staff, **fields | changes)


def test_after_an_override_the_next_request_is_decided_by_it(customer, staff):
    assert customer.asks(6).status_code == 429
    assert change_limits(customer.key, staff, overrides={"minute": 7, "day": None})
    assert customer.asks(2).status_code == 200
    assert customer.asks().status_code == 429
    entry = AuditEntry.objects.get()
    assert entry.before == {"minute_override": 5, "day_override": 10}
    assert entry.after == {"minute_override": 7, "day_override": None}


def test_after_a_move_the_next_request_has_the_other_tiers_limits(issue, staff, driven_clock):
    key, text = issue()
    one = Customer(text, driven_clock)
    assert one.asks().headers["X-RateLimit-Limit"] == "30"
    change_limits(key, staff, tier=Tier.objects.get(slug="pro"))
    assert one.asks().headers["X-RateLimit-Limit"] == "120"


def test_who_looked_at_an_older_state_of_the_key_changes_nothing(customer, staff):
    change_limits(customer.key, staff, overrides={"minute": 7})
    with pytest.raises(actions.Stale):
        change_limits(customer.key, staff, overrides={"minute": 8})
    assert not change_limits(customer.key, staff, revision=None, overrides={"minute": 7})
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize(("clean", "tier"), [(False, 2), (True, 0)])
def test_an_addresss_block_can_be_lifted(staff, driven_clock, clean, tier):
    guest = Customer(None, driven_clock)
    assert guest.climbs_to(2).json()["code"] == "cooldown"
    assert reactivation.lift("127.0.0.1", by=staff, reason="A school", clean=clean) == tier
    assert guest.asks().status_code == 200
    follow_changes(limit_store())
    state = EscalationState.objects.get()
    assert (state.escalation, state.until, state.is_pending) == (tier, None, False)
    entry = AuditEntry.objects.about(state).get()
    assert (entry.action, entry.reason) == ("reactivated", "A school")


def test_an_address_that_is_not_blocked_is_left_alone(staff):
    with pytest.raises(NotPossible, match="nothing to lift"):
        reactivation.lift("192.0.2.7", by=staff, reason="Why not")
    assert not EscalationState.objects.exists()
