"""Times as pages write them before their scripts know the viewer's zone."""

from datetime import UTC, datetime

import pytest

from accounts.templatetags.moments import countdown, countdown_to_the_second, moment

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)  # a Sunday


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("time", "words"),
    [
        ("2026-03-01T23:59", "23:59"),
        ("2026-03-02T00:00", "Mon 00:00"),
        ("2026-02-28T09:05", "Sat 09:05"),
        ("2026-02-22T12:00", "22 Feb 12:00"),
        ("2025-12-31T12:00", "31 Dec 2025"),
    ],
)
def test_a_time_says_its_day_if_that_is_another_one(time, words):
    assert moment(at(time), NOW) == words


@pytest.mark.parametrize(
    ("time", "words"),
    [
        ("2026-03-01T12:00:12", "in 12\u00a0s"),
        ("2026-03-01T12:41", "in 41\u00a0min"),
        ("2026-03-01T17:36", "in 5\u00a0h 36\u00a0min"),
        ("2026-03-02T12:00", "in 1\u00a0d"),
        ("2026-03-01T12:00", "now"),
    ],
)
def test_a_countdown_is_as_exact_as_it_needs_to_be(time, words):
    assert countdown(at(time), NOW) == words


@pytest.mark.parametrize(
    ("time", "words"),
    [
        ("2026-03-01T12:00:12", "in 12\u00a0s"),
        ("2026-03-01T12:14:59", "in 14\u00a0min 59\u00a0s"),
        ("2026-03-01T12:15", "in 15\u00a0min"),
        ("2026-03-01T13:00:01", "in 1\u00a0h 1\u00a0s"),
        ("2026-03-01T12:00", "now"),
    ],
)
def test_a_wait_is_told_to_the_second(time, words):
    assert countdown_to_the_second(at(time), NOW) == words
