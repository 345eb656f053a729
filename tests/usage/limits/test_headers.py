"""The rate-limit headers, read by a structured-fields parser that isn't ours."""

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.tiers import Limits
from usage.limits import headers
from usage.limits.decision import Decision
from usage.limits.kinds import Verdict

FREE = Limits(minute=30, day=1000, concurrent=5, parallel=3, queued=200)
NOON = 1_772_366_400  # 2026-03-01T12:00:00Z


def decision(limits=FREE, *, now=NOON + 29, minute=3, day=188, in_flight=1, verdict=Verdict.ADMITTED):
    return Decision(verdict, limits, now, minute, day, in_flight)


def parsed(fields, name):
    return {
        item: dict(parameters) for item, parameters in http_sf.parse(fields[name].encode(), tltype="list")
    }


def test_the_headers_are_those_of_the_contract():
    assert headers.of_decision(decision()) == {
        "X-RateLimit-Limit": "30",
        "X-RateLimit-Remaining": "27",
        "X-RateLimit-Reset": str(NOON + 60),
        "RateLimit-Policy": '"minute";q=30;w=60, "day";q=1000;w=86400, '
        '"concurrent";q=5;qu="concurrent-requests"',
        "RateLimit": '"minute";r=27;t=31, "day";r=812;t=43171, "concurrent";r=4',
    }


def test_a_structured_fields_parser_reads_them():
    fields = headers.of_decision(decision())
    assert parsed(fields, "RateLimit") == {
        "minute": {"r": 27, "t": 31},
        "day": {"r": 812, "t": 43171},
        "concurrent": {"r": 4},
    }
    assert parsed(fields, "RateLimit-Policy") == {
        "minute": {"q": 30, "w": 60},
        "day": {"q": 1000, "w": 86400},
        "concurrent": {"q": 5, "qu": "concurrent-requests"},
    }


def test_remaining_is_never_more_than_the_day_leaves():
    fields = headers.of_decision(decision(day=998))
    assert fields["X-RateLimit-Remaining"] == "2"
    assert fields["X-RateLimit-Reset"] == str(NOON + 60)


def test_once_the_day_is_spent_the_reset_is_the_days_end():
    fields = headers.of_decision(decision(day=1000))
    assert fields["X-RateLimit-Remaining"] == "0"
    assert fields["X-RateLimit-Reset"] == str(NOON + 43_200)


def test_a_count_above_a_lowered_limit_leaves_nothing_rather_than_less():
    fields = headers.of_decision(decision(minute=50))
    assert fields["X-RateLimit-Remaining"] == "0"
    assert parsed(fields, "RateLimit")["minute"]["r"] == 0


@pytest.mark.parametrize(
    ("limits", "limit", "names"),
    [
        (FREE._replace(minute=None), "1000", ["day", "concurrent"]),
        (FREE._replace(day=None), "30", ["minute", "concurrent"]),
        (FREE._replace(concurrent=None), "30", ["minute", "day"]),
    ],
)
def test_a_limit_that_is_empty_is_not_described(limits, limit, names):
    fields = headers.of_decision(decision(limits))
    assert fields["X-RateLimit-Limit"] == limit
    assert list(parsed(fields, "RateLimit")) == list(parsed(fields, "RateLimit-Policy")) == names


def test_without_any_limit_there_is_nothing_to_say():
    assert headers.of_decision(decision(Limits(None, None, None, None, None))) == {}


def test_while_the_store_is_down_the_allocation_is_told_and_no_state_guessed():
    fields = headers.of_limits(FREE)
    assert "RateLimit" not in fields
    assert "X-RateLimit-Remaining" not in fields
    assert fields["X-RateLimit-Limit"] == "30"
    assert list(parsed(fields, "RateLimit-Policy")) == ["minute", "day", "concurrent"]


def test_whoever_we_dont_know_has_no_allocation():
    fields = headers.of_nobody(NOON)
    assert fields["X-RateLimit-Limit"] == fields["X-RateLimit-Remaining"] == "0"
    assert parsed(fields, "RateLimit") == {"minute": {"r": 0, "t": 60}}


a_limit = st.none() | st.integers(1, 10**9)
a_count = st.integers(0, 10**9)


@given(st.builds(Limits, a_limit, a_limit, a_limit, a_limit, a_limit), a_count, a_count, a_count, a_count)
def test_whatever_the_counts_the_headers_parse_and_agree_with_each_other(limits, minute, day, in_flight, now):
    fields = headers.of_decision(
        decision(limits, minute=minute, day=day, in_flight=in_flight, now=NOON + now)
    )
    if not fields:
        assert limits[:3] == (None, None, None)
        return
    policy, state = parsed(fields, "RateLimit-Policy"), parsed(fields, "RateLimit")
    assert (
        policy.keys()
        == state.keys()
        == {kind for kind in ("minute", "day", "concurrent") if getattr(limits, kind)}
    )
    assert all(0 <= item["r"] <= policy[name]["q"] for name, item in state.items())
    windows = {name: item for name, item in state.items() if "t" in item}
    assert all(1 <= item["t"] <= policy[name]["w"] for name, item in windows.items())
    if windows:
        assert int(fields["X-RateLimit-Remaining"]) == min(item["r"] for item in windows.values())
        assert int(fields["X-RateLimit-Reset"]) - NOON - now in {item["t"] for item in windows.values()}
