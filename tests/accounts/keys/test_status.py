"""Of all that is true of a key, the page says what its owner must know first."""

from datetime import UTC, datetime, timedelta

import pytest

from accounts.keys.facts import KeyFacts
from accounts.keys.status import status_of
from accounts.models import ApiKey

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOON, LATER, PAST = NOW + timedelta(days=7), NOW + timedelta(days=8), NOW - timedelta(seconds=1)
CLEAR = KeyFacts("Clear", None, 3, 1000)
BLOCKED = KeyFacts("Temporary block", NOW + timedelta(minutes=42), 3, 1000)


def test_each_status_stands_above_those_below_it():
    """Everything is true at once, and the worst is taken away again and again."""
    key = ApiKey(status="revoked", expires_at=PAST)
    facts, rotating_until = BLOCKED, LATER
    said = []

    def say():
        said.append(status_of(key, facts, rotating_until, NOW).name)

    say()
    key.status = "suspended"
    say()
    key.status = "active"
    say()
    key.expires_at = SOON
    say()
    facts = CLEAR
    say()
    key.expires_at = LATER
    say()
    rotating_until = None
    say()
    assert said == ["revoked", "suspended", "expired", "blocked", "expiring", "rotating", "active"]


@pytest.mark.parametrize(
    ("key", "facts", "rotating_until", "until"),
    [
        (ApiKey(), BLOCKED, None, BLOCKED.blocked_until),
        (ApiKey(expires_at=SOON), CLEAR, None, SOON),
        (ApiKey(), CLEAR, LATER, LATER),
        (ApiKey(), CLEAR, PAST, None),
    ],
)
def test_it_says_until_when(key, facts, rotating_until, until):
    assert status_of(key, facts, rotating_until, NOW).until == until


def test_a_block_that_is_over_is_none():
    assert status_of(ApiKey(), KeyFacts("Temporary block", PAST, 3, 1000), None, NOW).name == "active"


def test_without_facts_nobody_guesses_whether_it_is_blocked():
    assert status_of(ApiKey(expires_at=SOON), None, LATER, NOW).name == "unknown"
    assert status_of(ApiKey(expires_at=PAST), None, None, NOW).name == "expired"


@pytest.mark.parametrize(
    ("used", "limit", "percent", "level"),
    [
        (0, 1000, 0, "ok"),
        (799, 1000, 79, "ok"),
        (800, 1000, 80, "near"),
        (999, 1000, 99, "near"),
        (1200, 1000, 100, "full"),
        (10**9, None, 0, "ok"),
    ],
)
def test_the_days_bar_is_near_its_end_from_80_per_cent(used, limit, percent, level):
    facts = KeyFacts("Clear", None, used, limit)
    assert (facts.percent, facts.level) == (percent, level)
