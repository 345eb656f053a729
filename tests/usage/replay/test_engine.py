"""A replay of minutes is what the ladder's oracle makes of each of their requests."""

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.usage.escalation.engines import changed
from usage.escalation.ladder import COOLDOWN, SUSPENDED, Cause, Ladder, Move, Place
from usage.replay.engine import DAY_MINUTES, NEVER, Order, Windows, play

BEGIN = 20_500 * DAY_MINUTES  # the minute at which some day begins
CONTRACT = Ladder()


def one_by_one(minutes, windows, ladder, subject_id, start, orders):
    """The same, request by request, with nothing known in advance."""
    place, moves, by_day = start, [], {}
    counts = {"admitted": 0, "minute": 0, "day": 0, "blocked": 0}
    limited, first = set(), None
    day, today, orders = None, 0, list(orders)
    for minute, demand in [*minutes, (NEVER, 0)]:
        now = minute * 60
        while orders and orders[0].at <= now:
            order = orders.pop(0)
            if order.escalation == SUSPENDED:
                place = Place(escalation=SUSPENDED)
            elif place.escalation >= COOLDOWN:
                place = Place(
                    escalation=min(order.escalation, place.escalation),
                    grace_until=order.grace and order.at + order.grace,
                    clean_since=order.at,
                )
        if minute // DAY_MINUTES != day:
            day, today = minute // DAY_MINUTES, 0
        in_minute = 0
        for _ in range(demand):
            place, move = place.arrive(now, windows.minute, ladder, subject_id)
            if move is not None:
                moves.append((now, move))
            if place.is_blocked(now):
                verdict = "blocked"
            elif windows.day is not None and today >= windows.day:
                verdict = "day"
            elif windows.minute is not None and in_minute >= windows.minute:
                verdict = "minute"
            else:
                verdict = "admitted"
                in_minute, today = in_minute + 1, today + 1
            if verdict != "blocked":
                place = place.counted(now, windows.minute, ladder, refused=verdict != "admitted")
            counts[verdict] += 1
            if verdict != "admitted":
                limited.add(minute)
                by_day[day] = by_day.get(day, 0) + 1
                first = now if first is None else first
    return counts, len(limited), first, by_day, moves, place


ladders = st.builds(
    lambda steps, **numbers: replace(
        changed(changed(changed(Ladder(), 2, **steps[0]), 3, **steps[1]), 4, **steps[2]), **numbers
    ),
    st.tuples(
        *[
            st.fixed_dictionaries({"strikes": st.integers(1, 3), "seconds": st.integers(1, 1000)})
            for _ in range(3)
        ]
    ),
    strike_refusals=st.integers(1, 4),
    strike_percent=st.integers(0, 120),
    forgive_minutes=st.integers(1, 6),
    warned_minutes=st.integers(1, 6),
    decay_seconds=st.integers(1, 30) | st.integers(60, 3000),
    grace_seconds=st.integers(0, 200),
    guests_highest=st.integers(1, 4),
)
gaps = st.integers(1, 4) | st.sampled_from([1, 1, 1, 7, 30, 200, 1440])
traffic = st.lists(st.tuples(gaps, st.integers(1, 6) | st.integers(1, 25)), max_size=60)
windows = st.builds(Windows, st.none() | st.integers(1, 8), st.none() | st.integers(1, 60))
places = st.just(Place()) | st.builds(
    lambda escalation, until, grace, clean: Place(
        escalation=escalation,
        until=0 if escalation == SUSPENDED else BEGIN * 60 + until,
        grace_until=BEGIN * 60 + until + grace,
        clean_since=BEGIN * 60 + clean,
    ),
    st.integers(2, 5),
    st.integers(-4000, 4000),
    st.integers(0, 100),
    st.integers(-4000, 4000),
)
staff = st.lists(
    st.builds(Order, st.integers(BEGIN * 60, BEGIN * 60 + 6000), st.sampled_from([0, 2, 3, 5]), st.just(60)),
    max_size=2,
).map(sorted)


@settings(max_examples=400, deadline=None)
@given(traffic, windows, ladders, st.sampled_from(["k:1", "ip:192.0.2.0/24"]), places, staff)
@example([(1, 40)] * 40, Windows(8, None), CONTRACT, "k:1", Place(), [])
@example([(1, 40)] * 40, Windows(8, 60), CONTRACT, "ip:192.0.2.0/24", Place(), [])
def test_minutes_played_at_once_are_their_requests_played_one_by_one(
    steps, limits, ladder, subject_id, start, orders
):
    minutes, at = [], BEGIN
    for gap, demand in steps:
        at += gap
        minutes.append((at, demand))
    counts, limited, first, by_day, moves, place = one_by_one(
        minutes, limits, ladder, subject_id, start, orders
    )
    outcome = play(minutes, limits, ladder, subject_id, start=start, orders=orders)
    assert {
        "admitted": outcome.admitted,
        "minute": outcome.minute_hits,
        "day": outcome.day_hits,
        "blocked": outcome.blocked_hits,
    } == counts
    assert (outcome.limited_minutes, outcome.first_refusal) == (limited, first)
    assert dict(outcome.refused_by_day) == by_day
    assert outcome.moves == moves
    # What it leads to from there on is the same as well.
    for later in (at * 60, (at + 5) * 60, (at + 1440) * 60):
        assert outcome.place.shown(later, limits.minute, ladder) == place.shown(later, limits.minute, ladder)


def every_minute(demand, minutes=1, begin=BEGIN):
    return [(begin + number, demand) for number in range(minutes)]


def test_the_windows_admit_what_they_have_left_and_refuse_the_rest():
    outcome = play([*every_minute(50, 3)], Windows(30, 70), CONTRACT, "k:1")
    assert (outcome.admitted, outcome.minute_hits, outcome.day_hits) == (70, 40, 40)


def test_a_day_that_is_spent_is_what_refuses_even_when_the_minute_is_full_as_well():
    outcome = play(every_minute(50), Windows(30, 30), CONTRACT, "k:1")
    assert (outcome.minute_hits, outcome.day_hits) == (0, 20)


def test_each_utc_day_begins_with_its_whole_number():
    outcome = play([(BEGIN, 40), (BEGIN + DAY_MINUTES, 40)], Windows(None, 30), CONTRACT, "k:1")
    assert (outcome.admitted, outcome.day_hits) == (60, 20)
    assert dict(outcome.refused_by_day) == {BEGIN // DAY_MINUTES: 10, BEGIN // DAY_MINUTES + 1: 10}


def test_three_bad_minutes_lead_to_a_cooldown_with_the_next_request():
    outcome = play(every_minute(40, 9), Windows(30, None), CONTRACT, "k:1")
    began = (BEGIN + 3) * 60
    assert outcome.moves == [(began, Move(Cause.STRIKES, 1, 2, began + 300))]
    assert outcome.blocked_hits == 5 * 40
    assert outcome.peak == (2, began)


def test_who_never_met_a_limit_was_nowhere_and_who_did_was_warned():
    assert play(every_minute(30, 9), Windows(30, None), CONTRACT, "k:1").peak == (0, None)
    assert play(every_minute(31, 9), Windows(30, None), CONTRACT, "k:1").peak == (1, BEGIN * 60)


def test_an_address_is_never_suspended_and_a_key_that_goes_on_is():
    minutes = every_minute(200, 3 * DAY_MINUTES)
    assert play(minutes, Windows(30, None), CONTRACT, "ip:192.0.2.0/24").peak[0] == 4
    key = play(minutes, Windows(30, None), CONTRACT, "k:1")
    assert key.peak[0] == SUSPENDED
    assert key.place.escalation == SUSPENDED


def test_what_staff_did_happens_again_and_never_puts_anybody_higher():
    minutes = every_minute(10, 20)
    suspended, reactivated = Order((BEGIN + 5) * 60, 5, 0), Order((BEGIN + 8) * 60, 3, 60)
    outcome = play(minutes, Windows(30, None), CONTRACT, "k:1", orders=[suspended, reactivated])
    assert (outcome.blocked_hits, outcome.place.escalation) == (30, 3)
    outcome = play(minutes, Windows(30, None), CONTRACT, "k:1", orders=[reactivated])
    assert (outcome.refused, outcome.place.escalation) == (0, 0)


@pytest.mark.parametrize("limits", [Windows(30, None), Windows(None, 10), Windows(5, 100)])
def test_outcomes_differ_when_the_subject_would_have_noticed(limits):
    minutes = every_minute(20, 3)
    free = play(minutes, Windows(None, None), CONTRACT, "k:1")
    assert play(minutes, limits, CONTRACT, "k:1").differs_from(free) == (limits.minute != 30)
