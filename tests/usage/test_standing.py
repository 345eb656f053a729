"""A standing is what the counters that enforce say of a key."""

import pytest

from accounts.models import Tier
from tests.usage.books.test_booking import hit
from usage import job_counts
from usage.limits.store import limit_store
from usage.models import EscalationPolicy
from usage.standing import standing_of, standing_of_key
from usage.subjects import of_network

pytestmark = pytest.mark.django_db


def test_a_standing_is_what_the_limiter_counts(issue, driven_clock):
    key, _ = issue(minute_override=4)
    hit(key, 7)
    standing = standing_of_key(key)
    day, minute, concurrent, *_ = standing.quotas
    assert (minute.used, minute.limit, minute.left, minute.level, minute.source) == (
        4,
        4,
        0,
        "full",
        "this key's override; the Free tier has 30",
    )
    assert (day.used, day.limit, day.level, day.source) == (4, 1000, "ok", "Free tier")
    assert (concurrent.used, concurrent.limit) == (0, 5)
    assert (minute.resets_at.timestamp(), day.resets_at.hour) == (driven_clock.seconds + 60, 0)
    assert (standing.footing.escalation, standing.live) == (1, True)


def test_an_address_that_may_only_be_warned_is_told_so(driven_clock):
    policy = EscalationPolicy.objects.get()
    policy.guests_highest = 1
    policy.save()
    limit_store().reload_ladder()
    guest = of_network("192.0.2.1", Tier.objects.get(slug=Tier.ANONYMOUS))
    for number in range(100):
        limit_store().decide(guest, "convert", f"lease {number}")
        limit_store().settle(guest, "convert", f"lease {number}")
        driven_clock.advance(3)
    footing = standing_of(guest).footing
    assert (footing.escalation, footing.strikes) == (1, 5)
    assert footing.next == "Nothing: addresses climb no further."
    assert footing.as_plain_values()["strikes_to_next_tier"] is None


def test_without_the_store_a_standing_knows_what_is_booked_and_says_so(issue, driven_clock, monkeypatch):
    key, _ = issue()
    monkeypatch.setattr(limit_store(), "url", "unix:///nowhere/valkey.sock")
    monkeypatch.setattr(limit_store(), "_threads", type(limit_store()._threads)())
    standing = standing_of_key(key)
    assert (standing.live, standing.hits.total) == (False, 0)
    assert [(quota.kind, quota.used, quota.limit, quota.level) for quota in standing.quotas] == [
        ("day", None, 1000, "unknown"),
        ("minute", None, 30, "unknown"),
        ("concurrent", None, 5, "unknown"),
        ("parallel", 0, 3, "ok"),  # SQL knows
        ("queued", 0, 200, "ok"),
    ]


def test_a_limit_of_nothing_is_full(issue, driven_clock):
    key, _ = issue(concurrent_override=0)
    (nothing,) = [quota for quota in standing_of_key(key).quotas if quota.limit == 0]
    assert (nothing.level, nothing.percent, nothing.left) == ("full", 100, 0)


def test_an_app_without_jobs_shows_none(issue, driven_clock, monkeypatch):
    monkeypatch.setattr(job_counts, "_provider", None)
    key, _ = issue()
    assert [quota.kind for quota in standing_of_key(key).quotas] == ["day", "minute", "concurrent"]
