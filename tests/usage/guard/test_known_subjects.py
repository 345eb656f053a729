"""The cache of subjects: bounded, forgetful where it must be, and not emptied by made-up keys."""

from datetime import UTC, datetime, timedelta

import pytest

from accounts import api_keys
from accounts.models import ApiKey
from usage.guard.known_subjects import KnownSubjects

pytestmark = pytest.mark.django_db


def test_a_key_is_asked_for_once(issue, django_assert_num_queries):
    _, text = issue()
    known = KnownSubjects()
    with django_assert_num_queries(1):
        assert known.by_key(text) is known.by_key(text)


def test_an_unknown_key_that_comes_again_is_asked_for_once(django_assert_num_queries):
    known, text = KnownSubjects(), api_keys.new_text()
    with django_assert_num_queries(1):
        assert known.by_key(text) is None
        assert known.by_key(text) is None


def test_made_up_keys_dont_push_out_good_ones(issue, django_assert_num_queries):
    _, text = issue()
    known = KnownSubjects(capacity=10)
    known.by_key(text)
    for _ in range(50):
        known.by_key(api_keys.new_text())
    with django_assert_num_queries(0):
        known.by_key(text)


def test_it_never_holds_more_than_its_capacity_and_forgets_the_first(issue):
    known = KnownSubjects(capacity=3)
    for _ in range(8):
        known.by_key(issue()[1])
    for number in range(8):
        known.by_network(f"203.0.113.{number}")
    assert len(known._keys) == 3
    assert list(known._networks) == ["203.0.113.5", "203.0.113.6", "203.0.113.7"]


def test_a_refused_key_is_asked_for_again_within_five_seconds(issue, monkeypatch):
    _, text = issue(status=ApiKey.Status.SUSPENDED)
    now = [1000.0]
    monkeypatch.setattr("usage.guard.known_subjects.time.monotonic", lambda: now[0])
    known = KnownSubjects()
    assert known.by_key(text).refusal == "key_suspended"
    ApiKey.objects.update(status=ApiKey.Status.ACTIVE)
    now[0] += 4.9
    assert known.by_key(text).refusal == "key_suspended"
    now[0] += 0.2
    assert known.by_key(text).refusal is None


def test_a_key_is_not_remembered_past_its_expiry(issue, time_machine, monkeypatch):
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    time_machine.move_to(noon, tick=False)
    now = [1000.0]
    monkeypatch.setattr("usage.guard.known_subjects.time.monotonic", lambda: now[0])
    _, text = issue(expires_at=noon + timedelta(seconds=10))
    known = KnownSubjects()
    assert known.by_key(text).refusal is None
    time_machine.shift(11)
    now[0] += 11
    assert known.by_key(text).refusal == "key_expired"
