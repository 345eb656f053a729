"""Buckets built from what is remembered, places given by staff, changes read in their order."""

import pytest
import redis

from tests.usage.limits.conftest import left
from usage.escalation.ladder import Cause, Ladder
from usage.limits import upkeep
from usage.limits.kinds import Verdict
from usage.limits.store import LADDER, LimitStoreDown
from usage.limits.upkeep import Cursor, Remembered, Tally
from usage.subjects import bucket_of

pytestmark = pytest.mark.once
DAY = 86_400


def call(store, subject):
    lease = store.new_lease()
    decision = store.decide(subject, "convert", lease)
    if decision.admitted:
        store.settle(subject, "convert", lease)
    return decision


def place(store, subject, order="staff:1", escalation=5, grace=0, version=0):
    return upkeep.place(
        store,
        subject.id,
        order=order,
        cause=Cause.SUSPENDED if escalation == 5 else Cause.REACTIVATED,
        escalation=escalation,
        grace=grace,
        version=version,
    )


def build(store, *remembered, life="life", revisions=None):
    bucket = bucket_of("k:1")
    upkeep.build(store, bucket, life, revisions or {}, remembered, Ladder())


def changes(store, subject):
    _, found = upkeep.changes_since(store, {subject.bucket: Cursor()}).get(subject.bucket, (None, []))
    return found


def test_a_bucket_without_a_life_decides_nothing(store, subject, client):
    store.memory = None
    with pytest.raises(LimitStoreDown, match="empty"):
        store.decide(subject(minute=5), "convert", store.new_lease())
    assert client.dbsize() == 0


def test_it_is_built_before_the_first_decision_and_remembers(store, subject, client, clock):
    client.flushall()
    build(
        store,
        Remembered("k:1", escalation=4, until=clock.seconds + 100, version=7),
    )
    refused = call(store, subject(minute=5))
    assert (refused.verdict, refused.retry_after, refused.escalation) == (Verdict.BLOCKED, 100, 4)


def test_what_was_charged_today_comes_back_and_yesterdays_does_not(store, subject, clock):
    today = clock.seconds // DAY
    build(store, Remembered("k:1", day=today, day_count=7))
    assert left(call(store, subject(day=10)))[1] == 2
    clock.advance(DAY)
    assert left(call(store, subject(day=10)))[1] == 9


def test_a_key_that_changed_lately_is_reloaded_by_processes_with_older_copies(store, subject):
    build(store, Remembered("k:1", key_revision=5))
    assert call(store, subject(minute=5)).verdict is Verdict.STALE


def test_tiers_and_the_ladder_are_announced_again(store, subject):
    build(store, revisions={"free": 5})
    assert call(store, subject(minute=5)).verdict is Verdict.STALE
    build(store, revisions={LADDER: 5}, life="other")
    assert call(store, subject(minute=5)).verdict is Verdict.STALE


def test_whoever_builds_a_bucket_that_lives_changes_nothing(store, subject, client):
    build(store)
    call(store, subject(minute=5))
    build(store, Remembered("k:1", escalation=5, version=9), life="another", revisions={"free": 5})
    assert left(call(store, subject(minute=5)))[0] == 3
    assert client.hget(f"kp1:{{{subject().bucket}}}:t", "*life") == "life"


def test_a_large_bucket_is_built_in_parts_and_lives_with_the_last(store, subject):
    many = [Remembered(f"k:{number}", escalation=5, version=1) for number in range(1, 1300)]
    build(store, *many)
    assert call(store, subject(minute=5)).verdict is Verdict.SUSPENDED


def test_a_bucket_that_is_lost_while_it_is_built_gets_no_life(store, subject, client, monkeypatch):
    many = [Remembered(f"k:{number}", escalation=5, version=1) for number in range(1, 1300)]
    run, calls = store.client.eval, []

    def run_and_lose(*words):
        calls.append(words)
        if len(calls) == 2:
            client.flushall()
        return run(*words)

    monkeypatch.setattr(store.client, "eval", run_and_lose)
    with pytest.raises(redis.RedisError, match="once more"):
        build(store, *many)
    assert not client.hexists(f"kp1:{{{subject().bucket}}}:t", "*life")
    build(store, *many)
    assert call(store, subject(minute=5)).verdict is Verdict.SUSPENDED


def test_two_builders_of_a_large_bucket_do_not_hinder_each_other(store, subject, client, monkeypatch):
    many = [Remembered(f"k:{number}", escalation=5, version=1) for number in range(1, 1300)]
    run, calls = store.client.eval, []

    def run_with_another(*words):
        calls.append(words)
        if len(calls) == 2:
            build(store, *many, life="the faster")
        return run(*words)

    monkeypatch.setattr(store.client, "eval", run_with_another)
    build(store, *many, life="the slower")
    assert client.hget(f"kp1:{{{subject().bucket}}}:t", "*life") == "the faster"
    assert call(store, subject(minute=5)).verdict is Verdict.SUSPENDED


def test_an_order_is_carried_out_once(store, subject):
    call(store, subject(minute=5))
    first = place(store, subject(), version=7)
    assert place(store, subject(), version=7) == 7
    assert [change.order for change in changes(store, subject())] == ["staff:1"]
    assert call(store, subject(minute=5)).verdict is Verdict.SUSPENDED
    assert place(store, subject(), "staff:2", escalation=0, grace=60, version=8) > first
    assert call(store, subject(minute=5)).verdict is Verdict.ADMITTED


def test_an_order_that_comes_after_one_given_later_does_nothing(store, subject):
    call(store, subject(minute=5))
    place(store, subject(), "staff:2", escalation=0, version=8)
    assert place(store, subject(), "staff:1", version=7) == 7
    assert call(store, subject(minute=5)).verdict is Verdict.ADMITTED
    assert [change.order for change in changes(store, subject())] == ["staff:2"]


def test_so_it_does_in_a_bucket_that_was_built_with_the_later_one(store, subject, clock):
    build(store, Remembered("k:1", escalation=3, clean_since=clock.seconds, version=8, order="staff:2"))
    assert place(store, subject(), "staff:1", version=7) == 7
    assert call(store, subject(minute=5)).escalation == 3


def test_an_order_is_newer_than_all_that_sql_knows(store, subject):
    call(store, subject(minute=5))
    assert place(store, subject(), version=10**12) == 10**12 + 1


def test_a_lost_bucket_takes_no_order(store, subject, client):
    assert place(store, subject()) is None
    assert client.dbsize() == 0


def test_every_key_has_a_time_to_live(store, subject, client, clock):
    key = subject(minute=1)
    build(store, Remembered("k:1", escalation=3, version=1), Remembered("k:77", key_revision=1))
    place(store, key)
    store.announce_key("k:2", 5)
    upkeep.tally(
        store, "batch", key.bucket, [Tally(key.id, clock.seconds // 60, "convert", "blocked", 1, "a\nb")]
    )
    assert client.dbsize() >= 6
    assert [name for name in client.keys("*") if client.ttl(name) < 0] == []


def test_an_announcement_does_not_shorten_the_life_of_a_block(store, subject, client, clock):
    build(store, Remembered("k:1", escalation=4, until=clock.seconds + 5 * DAY, version=1))
    before = client.ttl(f"kp1:{{{subject().bucket}}}:s:k:1")
    store.announce_key("k:1", 5)
    assert client.ttl(f"kp1:{{{subject().bucket}}}:s:k:1") >= before - 1 > 5 * DAY
