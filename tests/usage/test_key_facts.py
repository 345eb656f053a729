"""What a page of keys shows of their limits, read from the counters that enforce."""

from datetime import UTC, datetime

import pytest
import redis

from accounts.keys import facts
from accounts.models import ApiKey
from usage.books.booking import book_closed_minutes
from usage.escalation.reactivation import suspend
from usage.limits.store import LADDER, limit_store
from usage.models import EscalationStep
from usage.subjects import of_limits

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("driven_clock")]


@pytest.fixture
def keys(issue):
    """Three keys, as a page reads them."""
    issue(day_override=10, minute_override=4)
    issue()
    issue()
    return list(ApiKey.objects.order_by("pk").select_related("tier"))


def charge(key, times=1):
    store = limit_store()
    for _ in range(times):
        lease = store.new_lease()
        store.insist(of_limits(key), "convert", lease)
        store.settle(of_limits(key), "convert", lease)


def test_each_key_has_its_day_and_its_place(keys):
    charge(keys[0], 3)
    charge(keys[1], 1)
    known = facts.facts_of(keys)
    assert [(known[key.pk].used_today, known[key.pk].day_limit) for key in keys] == [
        *((3, 10), (1, 1000), (0, 1000))
    ]
    assert [(known[key.pk].standing, known[key.pk].blocked_until) for key in keys] == [("Clear", None)] * 3


def test_a_block_is_told_with_its_end_and_in_the_words_of_the_ladder(keys, driven_clock):
    EscalationStep.objects.filter(number=2).update(name="Breather")
    for minute in range(4):
        driven_clock.set(f"2026-03-01T12:0{minute}:00")
        charge(keys[0], 9)
    known = facts.facts_of(keys)[keys[0].pk]
    assert (known.standing, known.blocked_until) == ("Breather", datetime(2026, 3, 1, 12, 8, tzinfo=UTC))
    driven_clock.set("2026-03-01T12:09:00")
    known = facts.facts_of(keys)[keys[0].pk]
    assert (known.standing, known.blocked_until) == ("Breather", None)


@pytest.mark.django_db(transaction=True)
def test_a_suspension_has_no_end(keys):
    suspend(keys[0], by=None, reason="Resold.")
    known = facts.facts_of(keys)[keys[0].pk]
    assert (known.standing, known.blocked_until) == ("Suspension", None)


def test_it_asks_the_store_once_however_many_keys_there_are(
    keys, built, monkeypatch, django_assert_num_queries
):
    facts.facts_of(keys)
    asked = []
    execute = redis.client.Pipeline.execute
    monkeypatch.setattr(
        redis.client.Pipeline, "execute", lambda self, *words: asked.append(1) or execute(self, *words)
    )
    monkeypatch.setattr(limit_store().client, "execute_command", lambda *words: pytest.fail("asked"))
    with django_assert_num_queries(1):
        assert len(facts.facts_of(keys)) == 3
    assert asked == [1]


def test_it_charges_nothing_and_changes_nothing(keys, valkey):
    charge(keys[0], 2)
    facts.facts_of(keys)  # builds the buckets
    before = {name: valkey.dump(name) for name in valkey.keys("kp1:*:s:*")}
    facts.facts_of(keys)
    assert {name: valkey.dump(name) for name in valkey.keys("kp1:*:s:*")} == before


def test_a_store_that_was_emptied_is_told_what_sql_remembers_first(keys, driven_clock, valkey):
    charge(keys[0], 3)
    driven_clock.advance(65)
    book_closed_minutes(limit_store())
    valkey.flushall()
    valkey.script_flush()
    known = facts.facts_of(keys)
    assert [known[key.pk].used_today for key in keys] == [3, 0, 0]


def test_a_limit_that_was_changed_a_moment_ago_is_the_one_shown(keys):
    charge(keys[0])
    key = ApiKey.objects.select_related("tier").get(pk=keys[0].pk)
    key.day_override = 77
    key.save()
    assert facts.facts_of([key])[key.pk].day_limit == 77
    assert facts.facts_of([keys[0]])[key.pk].used_today == 1


def test_a_ladder_that_was_edited_a_moment_ago_hides_nothing(keys):
    charge(keys[0])
    limit_store().announce_tier(LADDER, 2**50)
    assert facts.facts_of(keys)[keys[0].pk].used_today == 1


def test_while_the_store_is_away_nobody_knows_and_a_page_waits_for_nothing(keys, monkeypatch, tmp_path):
    monkeypatch.setattr(limit_store(), "url", f"unix://{tmp_path}/gone.sock")
    monkeypatch.setattr(limit_store(), "client", None)
    assert facts.facts_of(keys) == {}


def test_a_store_that_goes_away_meanwhile_is_no_error(keys, monkeypatch):
    def away(**how):
        raise redis.ConnectionError("away")

    monkeypatch.setattr(limit_store().client, "pipeline", away)
    assert facts.facts_of(keys) == {}


def test_without_keys_nobody_is_asked(monkeypatch):
    monkeypatch.setattr(limit_store(), "client", None)
    assert facts.facts_of([]) == {}
