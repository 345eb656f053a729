"""Counters that staff set back and leases that they take back: what enforces, and nothing else."""

import threading

import pytest

from usage.limits.kinds import Verdict
from usage.limits.resetting import ALL_LEASES, counters_of, reset
from usage.limits.store import LEASE_MS, UNDONE, keys_of

pytestmark = pytest.mark.once


def call(store, subject, times=1, settles=True):
    """The last decision; a request that isn't settled stays in flight."""
    for _ in range(times):
        lease = store.new_lease()
        decision = store.decide(subject, "convert", lease)
        if decision.admitted and settles:
            store.settle(subject, "convert", lease)
    return decision


def booked(store, subject, clock):
    fields = [(subject.id, "convert", outcome) for outcome in ("admitted", "minute")]
    return store.booked(fields, [clock.seconds // 60])[clock.seconds // 60]


def test_the_minute_counts_from_nothing_and_the_day_goes_on(store, subject):
    key = subject(minute=3, day=10)
    assert call(store, key, 4).verdict is Verdict.MINUTE_FULL
    found = reset(store, key.id, order="a", minute=True)
    assert (found.minute, found.day) == (3, 3)
    decision = call(store, key)
    assert decision.admitted
    assert (decision.minute_count, decision.day_count) == (1, 4)


def test_the_day_counts_from_nothing_and_the_minute_goes_on(store, subject):
    key = subject(minute=10, day=3)
    assert call(store, key, 4).verdict is Verdict.DAY_FULL
    assert reset(store, key.id, order="a", day=True).day == 3
    decision = call(store, key)
    assert (decision.minute_count, decision.day_count) == (4, 1)


def test_what_was_booked_stays_booked(store, subject, clock):
    key = subject(minute=3)
    call(store, key, 5)
    before = booked(store, key, clock)
    reset(store, key.id, order="a", minute=True, day=True, strikes=True)
    assert booked(store, key, clock) == before == [3, 2]


def test_strikes_are_forgotten_with_the_refusals_that_would_make_one_more(store, subject, clock):
    key = subject(minute=1)
    for _ in range(2):
        call(store, key, 8)
        clock.advance(60)
    call(store, key, 8)
    assert store.look(key).strikes == 3
    assert counters_of(store, key.id, clock.seconds, 10).refusals == 7
    reset(store, key.id, order="a", strikes=True)
    now = store.look(key)
    assert (now.strikes, now.escalation, now.minute_count) == (0, 0, 1)
    clock.advance(60)
    assert call(store, key).admitted  # three strikes would have led into a cooldown


def test_a_running_block_holds(store, subject, clock):
    key = subject(minute=1)
    for _ in range(3):
        call(store, key, 8)
        clock.advance(60)
    assert call(store, key).verdict is Verdict.BLOCKED
    reset(store, key.id, order="a", minute=True, day=True, strikes=True)
    assert call(store, key).verdict is Verdict.BLOCKED


def test_the_same_order_again_changes_nothing_and_is_answered_the_same(store, subject):
    key = subject(minute=3)
    call(store, key, 3)
    first = reset(store, key.id, order="a", minute=True)
    call(store, key, 2)
    assert reset(store, key.id, order="a", minute=True) == first
    assert store.look(key).minute_count == 2
    assert reset(store, key.id, order="b", minute=True).minute == 2


def test_a_charge_from_before_is_not_given_back_a_second_time(store, subject, clock):
    key = subject(minute=5, day=5)
    lease = store.new_lease()
    store.decide(key, "convert", lease)
    clock.advance(0.01)
    reset(store, key.id, order="a", minute=True, day=True)
    clock.advance(0.01)
    call(store, key)
    store.settle(key, "convert", lease, UNDONE)
    now = store.look(key)
    assert (now.minute_count, now.day_count, now.in_flight) == (1, 1, 0)


def test_a_charge_from_after_is_given_back(store, subject, clock):
    key = subject(minute=5, day=5)
    call(store, key)
    reset(store, key.id, order="a", minute=True, day=True)
    clock.advance(0.01)
    lease = store.new_lease()
    store.decide(key, "convert", lease)
    store.settle(key, "convert", lease, UNDONE)
    now = store.look(key)
    assert (now.minute_count, now.day_count) == (0, 0)


def test_one_lease_is_taken_back_and_its_place_is_free(store, subject, clock):
    key = subject(concurrent=2)
    call(store, key, 2, settles=False)
    assert call(store, key).verdict is Verdict.CONCURRENT_FULL
    held = counters_of(store, key.id, clock.seconds, 10)
    assert held.in_flight == 2
    one, other = held.leases
    assert (one.since, one.expires) == (clock.seconds, clock.seconds + LEASE_MS // 1000)
    assert reset(store, key.id, order="a", lease=one.id).released == 1
    assert [lease.id for lease in counters_of(store, key.id, clock.seconds, 10).leases] == [other.id]
    assert call(store, key).admitted


def test_all_leases_are_taken_back(store, subject, clock):
    key = subject(concurrent=3)
    call(store, key, 3, settles=False)
    assert reset(store, key.id, order="a", lease=ALL_LEASES)[-2:] == (3, 3)
    assert store.look(key).in_flight == 0
    assert reset(store, key.id, order="b", lease=ALL_LEASES).released == 0


@pytest.mark.parametrize("outcome", ["", "failed", UNDONE])
def test_a_lease_that_was_taken_back_is_settled_without_harm(store, subject, clock, outcome):
    key = subject(minute=5, concurrent=2)
    lease = store.new_lease()
    store.decide(key, "convert", lease)
    call(store, key, settles=False)
    reset(store, key.id, order="a", lease=lease)
    before = store.look(key), booked(store, key, clock)
    store.settle(key, "convert", lease, outcome)
    assert (store.look(key), booked(store, key, clock)) == before
    assert store.look(key).in_flight == 1


def test_a_lease_that_ran_out_is_none_to_take_back(store, subject, clock):
    key = subject(concurrent=1)
    call(store, key, settles=False)
    clock.advance(LEASE_MS / 1000)
    assert counters_of(store, key.id, clock.seconds, 10).in_flight == 0
    assert reset(store, key.id, order="a", lease=ALL_LEASES).released == 0


def test_a_lost_bucket_takes_no_order(store, subject, client):
    assert reset(store, subject().id, order="a", minute=True) is None
    assert client.dbsize() == 0


def test_every_key_has_a_time_to_live(store, subject, client):
    key = subject(minute=1)
    store.look(key)
    reset(store, key.id, order="a", minute=True, day=True, strikes=True)
    assert not client.exists(keys_of(key.id)[0])  # there was nothing to remember
    call(store, key, 3, settles=False)
    client.delete(keys_of(key.id)[0])
    assert reset(store, key.id, order="c", lease=ALL_LEASES).released
    assert client.ttl(keys_of(key.id)[0]) > 0
    reset(store, key.id, order="b", minute=True, day=True, strikes=True, lease=ALL_LEASES)
    assert [name for name in client.keys("*") if client.ttl(name) < 0] == []


def test_a_reset_amid_traffic_loses_no_count_and_invents_none(store, subject, clock):
    """Whatever was charged is either among what the reset found, or counted since."""
    key = subject()
    store.look(key)  # so that its bucket is there, whoever comes first
    charged = []

    def ask():
        for _ in range(150):
            store.decide(key, "convert", store.new_lease())
            charged.append(1)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    forgiven = 0
    for number in range(20):
        forgiven += reset(store, key.id, order=f"{number}", day=True).day
    for thread in threads:
        thread.join()
    assert forgiven + store.look(key).day_count == len(charged) == 600
    assert booked(store, key, clock) == [600, 0]
