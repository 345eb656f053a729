"""What the two scripts decide and book, on a real server with a driven clock."""

import multiprocessing
from collections import Counter

import pytest
import redis

from tests.usage.limits.conftest import NothingRemembered, left
from usage.limits.kinds import Verdict
from usage.limits.link import LimitStoreDown
from usage.limits.store import LEASE_MS, UNDONE, LimitStore

ADMITTED, MINUTE, DAY, CONCURRENT = (
    Verdict.ADMITTED,
    Verdict.MINUTE_FULL,
    Verdict.DAY_FULL,
    Verdict.CONCURRENT_FULL,
)


def call(store, subject, route="convert"):
    """One request that begins and ends."""
    lease = store.new_lease()
    decision = store.decide(subject, route, lease)
    if decision.admitted:
        store.settle(subject, route, lease)
    return decision


def state_key(subject):
    return f"kp1:{{{subject.bucket}}}:s:{subject.id}"


def usage_of(client):
    """Everything booked, over all minutes: "subject|route|outcome" -> n."""
    booked = Counter()
    for key in client.scan_iter("kp1:*:u:*"):
        booked.update({field: int(n) for field, n in client.hgetall(key).items()})
    return dict(booked)


def test_the_last_request_of_the_limit_is_admitted_and_the_next_refused(store, subject):
    key = subject(minute=3)
    assert [call(store, key).verdict for _ in range(4)] == [ADMITTED, ADMITTED, ADMITTED, MINUTE]


def test_a_refused_request_charges_no_window(store, subject):
    key = subject(minute=2, day=10)
    for _ in range(20):
        last = call(store, key)
    assert (last.verdict, last.minute_count, last.day_count) == (MINUTE, 2, 2)


def test_a_request_refused_for_concurrency_charges_no_window(store, subject):
    key = subject(minute=10, concurrent=1)
    store.decide(key, "convert", store.new_lease())
    refused = store.decide(key, "convert", store.new_lease())
    assert (refused.verdict, refused.minute_count, refused.in_flight) == (CONCURRENT, 1, 1)


def test_at_the_minutes_end_the_full_allocation_is_back(store, subject, clock):
    key = subject(minute=2)
    clock.set("2026-03-01T12:00:59.999")
    call(store, key), call(store, key)
    refused = call(store, key)
    assert refused.verdict is MINUTE
    assert refused.retry_after == 1
    clock.advance(0.001)
    again = call(store, key)
    assert (again.verdict, left(again)[0]) == (ADMITTED, 1)


def test_the_wait_that_is_told_is_the_wait_that_is_needed(store, subject, clock):
    key = subject(minute=1)
    clock.set("2026-03-01T12:00:12.300")
    call(store, key)
    refused = call(store, key)
    clock.advance(refused.retry_after - 1)
    assert call(store, key).verdict is MINUTE
    clock.advance(1)
    assert call(store, key).verdict is ADMITTED


def test_at_the_end_of_the_utc_day_the_full_allocation_is_back(store, subject, clock):
    key = subject(minute=100, day=2)
    clock.set("2026-03-01T23:59:58")
    call(store, key), call(store, key)
    refused = call(store, key)
    assert (refused.verdict, refused.retry_after) == (DAY, 2)
    clock.advance(2)
    again = call(store, key)
    assert (again.verdict, left(again)[1]) == (ADMITTED, 1)


def test_a_spent_day_is_named_before_a_spent_minute(store, subject, clock):
    key = subject(minute=1, day=1)
    call(store, key)
    assert call(store, key).verdict is DAY


def test_no_limit_means_no_limit(store, subject):
    key = subject()
    assert {call(store, key).verdict for _ in range(200)} == {ADMITTED}


def test_a_finished_request_gives_its_place_back(store, subject):
    key = subject(concurrent=1)
    lease = store.new_lease()
    store.decide(key, "convert", lease)
    assert call(store, key).verdict is CONCURRENT
    store.settle(key, "convert", lease)
    assert call(store, key).verdict is ADMITTED


def test_a_killed_workers_lease_comes_back_by_itself(store, subject, clock):
    key = subject(concurrent=1)
    store.decide(key, "convert", store.new_lease())
    clock.advance(LEASE_MS / 1000 - 0.001)
    assert call(store, key).verdict is CONCURRENT
    clock.advance(0.001)
    assert call(store, key).verdict is ADMITTED


def test_a_replayed_request_counts_once(store, subject, client):
    key = subject(minute=5, day=5, concurrent=1)
    lease = store.new_lease()
    first = store.decide(key, "convert", lease)
    assert store.decide(key, "convert", lease) == first
    assert usage_of(client) == {"k:1|convert|admitted": 1}


def test_a_replay_is_admitted_even_when_the_window_has_filled_up_since(store, subject):
    key = subject(minute=1)
    lease = store.new_lease()
    store.decide(key, "convert", lease)
    assert call(store, key).verdict is MINUTE
    assert store.decide(key, "convert", lease).verdict is ADMITTED


def test_settling_twice_is_nothing(store, subject, client):
    key = subject(concurrent=2)
    lease = store.new_lease()
    store.decide(key, "convert", lease)
    store.settle(key, "convert", lease, "failed")
    store.settle(key, "convert", lease, "failed")
    assert store.decide(key, "convert", None).in_flight == 0
    assert usage_of(client) == {"k:1|convert|admitted": 1, "k:1|convert|failed": 1}


def test_looking_charges_nothing_and_leaves_nothing_behind(store, subject, client):
    for _ in range(5):
        look = store.decide(subject(minute=2), "jobs", None)
    assert (left(look)[0], look.verdict) == (2, ADMITTED)
    assert client.keys("*") == [f"kp1:{{{subject().bucket}}}:t"]  # the bucket was built, no more


def test_script_flush_between_any_two_calls_is_not_noticed(store, subject, client):
    key = subject(minute=4, concurrent=1)
    seen = []
    for _ in range(6):
        client.script_flush()
        lease = store.new_lease()
        decision = store.decide(key, "convert", lease)
        seen.append((decision.verdict, left(decision)[0]))
        client.script_flush()
        if decision.admitted:
            store.settle(key, "convert", lease)
    assert seen == [*((ADMITTED, left) for left in (3, 2, 1, 0)), (MINUTE, 0), (MINUTE, 0)]


def test_every_store_key_has_a_time_to_live(store, subject, client, clock):
    for number in range(3):
        key = subject(f"k:{number}", minute=1, concurrent=1)
        lease = store.new_lease()
        store.decide(key, "convert", lease)
        call(store, key)
        clock.advance(61)
        store.settle(key, "convert", lease, "failed")
        call(store, key)
        store.announce_key(key.id, 1)
        store.decide(subject(f"k:{number}0"), "convert", store.new_lease())
    assert len(client.keys("kp1:*:f:*")) == 3
    store.announce_key("k:77", 5)
    store.announce_tier("free", 1)
    keys = client.keys()
    assert len(keys) > 64
    assert {key for key in keys if client.ttl(key) < 0} == set()


def test_the_day_is_remembered_until_it_ends(store, subject, client, clock):
    key = subject(day=1)
    clock.set("2026-03-01T00:00:00")
    call(store, key)
    assert client.ttl(state_key(key)) >= 86_400


def test_an_active_subject_takes_less_than_600_bytes(store, subject, client):
    key = subject("k:1234567890", minute=30, day=1000, concurrent=5)
    for _ in range(5):
        store.decide(key, "convert", store.new_lease())
    used = sum(client.memory_usage(name) for name in client.scan_iter() if ":u:" not in name)
    assert used < 600


def test_an_announced_revision_makes_an_older_copy_stale_and_charges_nothing(store, subject):
    key = subject(minute=5)
    call(store, key)
    store.announce_key(key.id, key.key_revision + 1)
    assert call(store, key).verdict is Verdict.STALE
    store.announce_key(key.id, key.key_revision)
    assert left(call(store, key))[0] == 3


def test_an_announced_tier_makes_older_copies_stale_in_every_bucket(store, subject):
    keys = [subject(f"k:{number}", minute=5) for number in range(300)]
    assert {key.bucket for key in keys} == set(range(64))
    store.announce_tier("free", 2)
    assert {call(store, key).verdict for key in keys} == {Verdict.STALE}


def test_warned_after_a_refusal_until_ten_clean_minutes_have_passed(store, subject, clock):
    key = subject(minute=1)
    assert call(store, key).escalation == 0
    assert call(store, key).escalation == 1
    clock.advance(600)
    assert store.decide(key, "convert", None).escalation == 1
    clock.advance(60)
    assert store.decide(key, "convert", None).escalation == 0


def test_the_stores_own_clock_decides_unless_a_test_drives_it(server, client, subject):
    real = LimitStore(server, timeout=2, memory=NothingRemembered())
    seconds, _ = client.time()
    assert abs(real.decide(subject(minute=1), "convert", None).now - seconds) <= 1


def test_a_store_that_is_not_there_is_said_to_be_down(tmp_path, subject):
    with pytest.raises(LimitStoreDown):
        LimitStore(f"unix://{tmp_path}/nobody.sock", timeout=1).decide(subject(), "convert", "lease")


def test_a_store_that_hung_up_is_asked_again_after_a_pause(store, subject, client, monkeypatch):
    key = subject(minute=5)
    call(store, key)
    client.client_kill_filter(_type="normal", skipme=True)
    store._link()._spoke_at -= 2
    assert call(store, key).verdict is ADMITTED


def hammer(url, subject, calls, results):
    store = LimitStore(url, timeout=10, memory=NothingRemembered())
    seen = []
    for _ in range(calls):
        lease = store.new_lease()
        decision = store.decide(subject, "convert", lease)
        if decision.admitted:
            seen.append(left(decision)[1])
            store.settle(subject, "convert", lease)
    results.put(seen)


def test_2000_calls_from_32_processes_admit_exactly_the_limit_and_give_each_remaining_once(
    server, client, subject
):
    # The day's window counts like the minute's, and 2,000 calls can't straddle its end unnoticed.
    today = client.time()[0] // 86_400
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    workers = [
        context.Process(target=hammer, args=(server, subject(day=100, minute=10_000), calls, results))
        for calls in [63] * 16 + [62] * 16
    ]
    for worker in workers:
        worker.start()
    admitted = [left for _ in workers for left in results.get()]
    for worker in workers:
        worker.join()
    if client.time()[0] // 86_400 != today:
        pytest.skip("the UTC day ended while the test ran")
    assert sorted(admitted) == list(range(100))
    booked = usage_of(client)
    assert booked == {"k:1|convert|admitted": 100, "k:1|convert|day": 1900}
    assert redis.Redis.from_url(server).hget(state_key(subject()), "dc") == b"100"


def test_what_was_undone_was_never_charged(store, subject, client):
    key = subject(minute=5, day=9, concurrent=2)
    lease = store.new_lease()
    store.decide(key, "convert", lease)
    store.settle(key, "convert", lease, UNDONE)
    look = store.decide(key, "", None)
    assert (*left(look), look.in_flight) == (5, 9, 0)
    assert sum(usage_of(client).values()) == 0


def test_what_is_undone_late_takes_nothing_from_another_minute(store, subject, client, clock):
    key = subject(minute=5, day=9)
    lease = store.new_lease()
    store.decide(key, "convert", lease)
    clock.advance(90)
    call(store, key)
    store.settle(key, "convert", lease, UNDONE)
    look = store.decide(key, "", None)
    assert left(look) == (4, 8)
    # The minute it was charged in may be in the books by now, and stays as it was.
    assert usage_of(client) == {"k:1|convert|admitted": 2}
