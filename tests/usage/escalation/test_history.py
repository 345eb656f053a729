"""What the changes of a key's place are called."""

from datetime import UTC, datetime, timedelta

import pytest

from usage.escalation.history import in_words, why_it_struck
from usage.escalation.ladder import Ladder
from usage.models import EscalationEvent

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event(**fields):
    return EscalationEvent(at=NOON, **{"cause": "strikes", "before": 1, "after": 2, **fields})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"served": 30, "refused": 88, "minute_limit": 30, "strikes": 3},
            "118 requests in one minute, limit 30; third strike.",
        ),
        (
            {"served": 0, "refused": 20, "minute_limit": 30, "strikes": 2},
            "20 requests in one minute after the day's were used up; second strike.",
        ),
        (
            {"served": 0, "refused": 5000, "minute_limit": None, "strikes": 1},
            "5,000 requests in one minute after the day's were used up; first strike.",
        ),
        ({"served": 3, "refused": 0, "minute_limit": 30, "strikes": 2}, "Second strike."),
        (
            {"served": 1, "refused": 99, "minute_limit": 1, "strikes": 12},
            "100 requests in one minute, limit 1; 12 strikes.",
        ),
    ],
)
def test_the_bad_minute_is_told_as_it_was(fields, words):
    assert why_it_struck(event(**fields)) == words


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"after": 2, "until": NOON + timedelta(minutes=5)}, "Cooldown of 5 minutes"),
        ({"after": 3, "until": NOON + timedelta(hours=1)}, "Blocked for 1 hour"),
        ({"after": 4, "until": NOON + timedelta(days=1)}, "Blocked for 24 hours"),
        ({"after": 5}, "Suspended by the ladder"),
        ({"after": 5, "cause": "suspended"}, "Suspended by staff"),
        ({"after": 3, "cause": "reactivated"}, "Reactivated on probation, tier 3 remembered"),
        ({"after": 0, "cause": "reactivated"}, "Reactivated with a clean slate"),
        ({"before": 4, "after": 2, "cause": "decay"}, "Dropped to Extended cooldown"),
    ],
)
def test_each_change_has_its_words(fields, what):
    assert in_words(event(**fields), Ladder()).what == what


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [(3, 2, "After 24 clean hours."), (4, 2, "After 2 clean days."), (2, 0, "After 24 clean hours.")],
)
def test_a_drop_tells_how_long_the_key_was_clean(before, after, why):
    assert in_words(event(cause="decay", before=before, after=after), Ladder()).why == why


def test_staff_are_called_staff():
    happening = in_words(event(cause="suspended", after=5, reason="Abuse."), Ladder())
    assert (happening.by, happening.why) == ("staff", "Abuse.")
