"""The ladder's rules, sentence by sentence: each holds for the oracle and for the real store.

A limit of 60 a minute, unless a test says otherwise: 12 refusals in a minute are a strike. The clock begins
at the beginning of a minute.
"""

from dataclasses import replace

import pytest

from tests.usage.escalation import scenarios
from tests.usage.escalation.engines import changed
from usage.escalation.ladder import SUSPENDED, Cause
from usage.limits.kinds import Verdict

ADMITTED, MINUTE, DAY, CONCURRENT, BLOCKED, SUSPENSION = list(Verdict)[:6]
BAD = 12
GRACE = 60
MINUTES, HOURS = 60, 3600

pytestmark = pytest.mark.once


@pytest.fixture
def engine(engine_of):
    return engine_of()


@pytest.fixture
def refuse(clock):
    """A minute with so many refusals, from its beginning; then the next minute begins."""

    def minute(engine, refusals=BAD, limit=60):
        for _ in range(limit):
            assert engine.request().verdict is ADMITTED
        for _ in range(refusals):
            assert engine.request().verdict is MINUTE
        clock.advance(60 - clock.seconds % 60)

    return minute


@pytest.fixture
def climb(engine, refuse, clock):
    """Bring the subject into the block of a tier, as fast as the ladder lets it; gives the last answer."""

    def to(tier, engine=engine):
        for number in range(2, tier + 1):
            for _ in range(engine.ladder.steps[number].strikes):
                refuse(engine)
            answer = engine.request()
            assert answer.escalation == number
            if number < tier:
                clock.advance(answer.until + GRACE - clock.seconds)
        return answer

    return to


def strikes(engine):
    return engine.look().strikes


class TestStrikes:
    def test_a_minute_with_a_fifth_of_the_limit_refused_is_a_strike(self, engine, refuse):
        refuse(engine, 12)
        assert strikes(engine) == 1

    def test_one_refusal_less_is_none(self, engine, refuse):
        refuse(engine, 11)
        assert strikes(engine) == 0

    @pytest.mark.parametrize(("limit", "enough"), [(1, 5), (10, 5), (25, 5), (26, 6), (30, 6), (120, 24)])
    def test_at_least_five_and_at_least_a_fifth(self, engine_of, refuse, limit, enough):
        engine = engine_of(minute=limit)
        refuse(engine, enough - 1, limit)
        assert strikes(engine) == 0
        refuse(engine, enough, limit)
        assert strikes(engine) == 1

    def test_a_minute_is_one_strike_however_many_it_refuses(self, engine, refuse):
        refuse(engine, 600)
        assert strikes(engine) == 1

    def test_two_half_bad_minutes_are_no_strike(self, engine, refuse):
        refuse(engine, 11)
        refuse(engine, 11)
        assert strikes(engine) == 0

    def test_a_minute_that_will_be_a_strike_is_shown_as_one_already(self, engine, refuse):
        for _ in range(60 + BAD - 1):
            engine.request()
        assert strikes(engine) == 0
        assert engine.request().strikes == strikes(engine) == 1

    def test_refusals_by_the_day_strike_as_well(self, engine_of, clock):
        engine = engine_of(minute=60, day=10)
        for _ in range(10 + BAD - 1):
            engine.request()
        assert (strikes(engine), engine.look().verdict) == (0, DAY)
        engine.request()
        assert strikes(engine) == 1

    def test_without_a_minutes_limit_five_refusals_by_the_day_are_a_strike(self, engine_of):
        engine = engine_of(minute=None, day=1)
        for _ in range(5):
            engine.request()
        assert strikes(engine) == 0
        engine.request()
        assert strikes(engine) == 1

    def test_refusals_for_concurrency_never_strike_and_never_warn(self, engine_of):
        engine = engine_of(minute=60, concurrent=1)
        engine.begin()
        assert {engine.request().verdict for _ in range(40)} == {CONCURRENT}
        assert (engine.look().escalation, strikes(engine)) == (0, 0)

    def test_ten_clean_minutes_forgive_one(self, engine, refuse, clock):
        refuse(engine)
        refuse(engine)
        assert strikes(engine) == 2
        clock.advance(9 * MINUTES - 1)  # the last bad minute began ten minutes ago, less a second
        assert strikes(engine) == 2
        clock.advance(1)
        assert strikes(engine) == 1
        clock.advance(10 * MINUTES)
        assert strikes(engine) == 0

    @pytest.mark.parametrize("back", [1, 60, 3600, 86_400])
    def test_a_clock_that_is_set_back_makes_none(self, engine, refuse, clock, back):
        refuse(engine)
        engine.request()
        clock.advance(-back)
        assert strikes(engine) == engine.request().strikes == 1

    def test_admitted_requests_leave_a_minute_clean(self, engine, refuse, clock):
        refuse(engine)
        for _ in range(9):
            assert engine.request().strikes == 1
            clock.advance(60)
        assert engine.request().strikes == 0

    def test_a_single_refusal_makes_a_minute_unclean(self, engine, refuse, clock):
        refuse(engine)
        clock.advance(5 * MINUTES)
        refuse(engine, 1)
        clock.advance(9 * MINUTES - 1)
        assert strikes(engine) == 1
        clock.advance(1)
        assert strikes(engine) == 0

    def test_what_was_forgiven_stays_forgiven(self, engine, refuse, clock):
        refuse(engine)
        refuse(engine)
        clock.advance(9 * MINUTES)
        refuse(engine, 1)
        assert strikes(engine) == 1


class TestWarned:
    def test_the_first_refusal_warns(self, engine):
        for _ in range(60):
            assert engine.request().escalation == 0
        assert engine.request().escalation == 1

    def test_a_refusal_by_the_day_warns(self, engine_of):
        engine = engine_of(day=1)
        engine.request()
        assert engine.request()[0::4] == (DAY, 1)

    def test_ten_clean_minutes_clear_it(self, engine, refuse, clock):
        refuse(engine, 1)
        clock.advance(10 * MINUTES - 1)  # ten whole minutes after the one with the refusal
        assert engine.look().escalation == engine.request().escalation == 1
        clock.advance(1)
        assert engine.look().escalation == engine.request().escalation == 0


class TestBlocks:
    @pytest.mark.parametrize(
        ("tier", "strikes", "seconds"), [(2, 3, 5 * MINUTES), (3, 2, 1 * HOURS), (4, 2, 24 * HOURS)]
    )
    def test_so_many_strikes_lead_to_a_block_of_so_long(
        self, engine, climb, refuse, clock, tier, strikes, seconds
    ):
        if tier > 2:
            clock.advance(climb(tier - 1).until + GRACE - clock.seconds)
        for number in range(strikes):
            assert engine.request().verdict is ADMITTED
            refuse(engine, limit=59)
            assert engine.look().strikes == number + 1
        answer = engine.request()
        assert (answer.verdict, answer.escalation, answer.until) == (BLOCKED, tier, clock.seconds + seconds)
        clock.advance(seconds - 1)
        assert engine.request().verdict is BLOCKED
        clock.advance(1)
        assert engine.request().verdict is ADMITTED

    def test_two_more_strikes_suspend_for_good(self, engine, climb, clock):
        assert climb(5)[0] is SUSPENSION
        clock.advance(400 * 24 * HOURS)
        answer = engine.request()
        assert (answer.verdict, answer.escalation, answer.until) == (SUSPENSION, SUSPENDED, 0)

    def test_a_block_begins_with_a_request_and_who_stops_in_time_is_not_blocked(self, engine, refuse, clock):
        for _ in range(3):
            refuse(engine)
        assert (engine.look().verdict, strikes(engine)) == (ADMITTED, 3)
        clock.advance(9 * MINUTES)
        assert engine.request()[0::6] == (ADMITTED, 2)

    def test_a_request_of_any_fate_begins_the_block(self, engine_of, refuse):
        engine = engine_of(concurrent=1)
        for _ in range(3):
            refuse(engine)
        engine.begin()
        assert engine.look().verdict is BLOCKED

    def test_the_strikes_are_spent_by_the_block(self, engine, climb):
        assert climb(2).strikes == strikes(engine) == 0

    def test_refusals_within_a_block_never_strike_and_never_lengthen_it(self, engine, climb, clock):
        until = climb(2).until
        while clock.seconds < until:
            for _ in range(100):
                answer = engine.request()
                assert (answer.verdict, answer.until, answer.strikes) == (BLOCKED, until, 0)
            clock.advance(30)
        assert (engine.look().escalation, strikes(engine)) == (2, 0)

    def test_within_a_block_nothing_is_charged(self, engine, climb, clock):
        charged = climb(2)[1:3]
        assert engine.request()[1:3] == charged == (0, 180)

    def test_looking_begins_no_block_and_is_possible_within_one(self, engine, climb, refuse):
        climb(2)
        assert engine.look().verdict is BLOCKED

    def test_a_request_under_way_when_the_block_begins_keeps_its_place(self, engine_of, refuse, clock):
        engine = engine_of(minute=1, concurrent=5)
        for _ in range(3):
            refuse(engine, 5, limit=1)
            last = engine.begin() if strikes(engine) < 3 else engine.request()
            clock.advance(60)
        assert last.in_flight == engine.look().in_flight

    def test_in_the_moment_after_a_block_nothing_strikes(self, engine, climb, refuse, clock):
        clock.advance(climb(2).until - clock.seconds)
        refuse(engine, 600)
        assert (engine.look().escalation, strikes(engine)) == (2, 0)
        refuse(engine)
        assert strikes(engine) == 1

    def test_refusals_of_the_moment_count_for_no_later_one(self, engine, climb, refuse, clock):
        clock.advance(climb(2).until - clock.seconds + 30)
        for _ in range(60 + BAD):
            engine.request()
        clock.advance(30)
        # The minute's end is the moment's end, so it begins anew.
        for _ in range(60 + BAD - 1):
            engine.request()
        assert strikes(engine) == 0
        engine.request()
        assert strikes(engine) == 1

    def test_a_moment_that_ends_within_a_minute_leaves_the_rest_of_it_to_be_judged(
        self, engine, refuse, clock
    ):
        for _ in range(3):
            refuse(engine)
        clock.advance(20)
        clock.advance(engine.request().until + 59 - clock.seconds)
        for _ in range(60 + BAD):
            engine.request()
        assert strikes(engine) == 0
        clock.advance(1)
        for _ in range(BAD - 1):
            engine.request()
        assert strikes(engine) == 0
        assert engine.request().strikes == 1


class TestDecay:
    def test_the_tier_stays_after_the_block(self, engine, climb, clock):
        clock.advance(climb(3).until - clock.seconds)
        assert engine.look().escalation == engine.request().escalation == 3

    def test_it_drops_by_one_for_every_24_clean_hours_after_the_block(self, engine, climb, clock):
        clock.advance(climb(4).until - clock.seconds)
        for tier in (4, 3, 2):
            assert engine.look().escalation == tier
            clock.advance(24 * HOURS - 1)
            assert engine.request().escalation == tier
            clock.advance(1)
        assert engine.look().escalation == engine.request().escalation == 0

    def test_days_without_any_request_count(self, engine, climb, clock):
        clock.advance(climb(4).until - clock.seconds + 2 * 24 * HOURS + 100)
        assert engine.request().escalation == 2
        clock.advance(24 * HOURS - 101)
        assert engine.request().escalation == 2
        clock.advance(1)
        assert engine.request().escalation == 0

    def test_a_refusal_begins_the_24_hours_anew(self, engine, climb, refuse, clock):
        clock.advance(climb(2).until - clock.seconds + 20 * HOURS)
        refuse(engine, 1)
        clock.advance(24 * HOURS - 61)
        assert engine.look().escalation == 2
        clock.advance(1)
        assert engine.look().escalation == 0

    def test_a_refusal_for_concurrency_does_not(self, engine_of, refuse, clock):
        engine = engine_of(concurrent=1)
        for _ in range(3):
            refuse(engine)
        clock.advance(engine.request().until - clock.seconds + 24 * HOURS - 1)
        engine.begin()
        assert engine.request().verdict is CONCURRENT
        clock.advance(1)
        assert engine.look().escalation == 0

    def test_who_has_come_down_climbs_from_where_it_is(self, engine, climb, refuse, clock):
        clock.advance(climb(4).until - clock.seconds + 24 * HOURS)
        refuse(engine), refuse(engine)
        assert engine.request()[4:6] == (4, clock.seconds + 24 * HOURS)

    def test_who_is_back_on_the_ground_needs_three_strikes_again(self, engine, climb, refuse, clock):
        clock.advance(climb(2).until - clock.seconds + 24 * HOURS)
        refuse(engine), refuse(engine)
        assert engine.request().verdict is ADMITTED
        refuse(engine, limit=59)
        assert engine.request()[0::4] == (BLOCKED, 2)


class TestAddresses:
    def test_none_passes_tier_4_but_is_blocked_there_again(self, engine_of, climb, refuse, clock):
        engine = engine_of("ip:198.51.100.0")
        clock.advance(climb(4, engine).until + GRACE - clock.seconds)
        for _ in range(3):
            refuse(engine), refuse(engine)
            answer = engine.request()
            assert (answer.verdict, answer.escalation) == (BLOCKED, 4)
            assert answer.until == clock.seconds + 24 * HOURS
            clock.advance(24 * HOURS + GRACE)

    def test_staff_may_stop_them_earlier(self, engine_of, refuse):
        engine = engine_of("ip:198.51.100.0")
        engine.ladder = replace(engine.ladder, guests_highest=1)
        for _ in range(8):
            refuse(engine)
        assert engine.request().verdict is ADMITTED


class TestStaff:
    @pytest.mark.parametrize("tier", [0, 3])
    def test_nothing_strikes_for_a_moment_after_a_reactivation(self, engine, climb, refuse, clock, tier):
        climb(5)
        engine.put(tier, Cause.REACTIVATED, GRACE)
        assert engine.look()[0:5:4] == (ADMITTED, tier)
        refuse(engine, 600)
        assert strikes(engine) == 0
        refuse(engine)
        assert strikes(engine) == 1

    def test_on_probation_two_strikes_lead_to_the_next_tier(self, engine, climb, refuse, clock):
        climb(5)
        engine.put(3, Cause.REACTIVATED, GRACE)
        clock.advance(GRACE)
        refuse(engine), refuse(engine)
        assert engine.request()[0:5:4] == (BLOCKED, 4)

    def test_probation_decays_like_any_tier(self, engine, climb, clock):
        climb(5)
        engine.put(3, Cause.REACTIVATED, GRACE)
        clock.advance(24 * HOURS)
        assert engine.look().escalation == 2

    def test_who_was_let_go_clean_needs_three_strikes(self, engine, climb, refuse, clock):
        climb(5)
        engine.put(0, Cause.REACTIVATED, GRACE)
        clock.advance(GRACE)
        refuse(engine), refuse(engine)
        assert engine.request()[0:5:4] == (ADMITTED, 1)

    def test_a_block_can_be_lifted(self, engine, climb):
        climb(4)
        engine.put(0, Cause.REACTIVATED, GRACE)
        assert engine.request()[0:5:4] == (ADMITTED, 0)

    def test_whom_they_suspend_is_suspended_at_once(self, engine, clock):
        engine.request()
        engine.put(SUSPENDED, Cause.SUSPENDED, 0)
        assert engine.request().verdict is SUSPENSION
        clock.advance(400 * 24 * HOURS)
        assert engine.look().verdict is SUSPENSION


class TestEveryNumberIsData:
    def test_a_running_block_keeps_its_end(self, engine, climb, clock):
        until = climb(2).until
        engine.ladder = changed(engine.ladder, 2, seconds=1)
        assert engine.request()[4:6] == (2, until)
        clock.advance(until - 1 - clock.seconds)
        assert engine.request().verdict is BLOCKED
        clock.advance(1)
        assert engine.request().verdict is ADMITTED

    def test_a_running_block_keeps_its_moment_of_grace(self, engine, climb, refuse, clock):
        until = climb(2).until
        engine.ladder = replace(engine.ladder, grace_seconds=0)
        clock.advance(until - clock.seconds)
        refuse(engine)
        assert strikes(engine) == 0

    @pytest.mark.parametrize("tier", [2, 3, 4])
    def test_strikes_and_length_of_each_block(self, engine, climb, clock, tier):
        engine.ladder = changed(engine.ladder, tier, strikes=1, seconds=100)
        assert climb(tier).until == clock.seconds + 100

    def test_strikes_that_suspend(self, engine, climb, refuse, clock):
        engine.ladder = changed(engine.ladder, 5, strikes=4)
        clock.advance(climb(4).until + GRACE - clock.seconds)
        for _ in range(4):
            refuse(engine)
            last = engine.look()
        assert (last.verdict, engine.request().verdict) == (ADMITTED, SUSPENSION)

    def test_refusals_for_a_strike(self, engine, refuse):
        engine.ladder = replace(engine.ladder, strike_refusals=20)
        refuse(engine, 19)
        assert strikes(engine) == 0
        refuse(engine, 20)
        assert strikes(engine) == 1

    def test_their_share_of_the_limit(self, engine, refuse):
        engine.ladder = replace(engine.ladder, strike_percent=50)
        refuse(engine, 29)
        assert strikes(engine) == 0
        refuse(engine, 30)
        assert strikes(engine) == 1

    def test_minutes_that_forgive(self, engine, refuse, clock):
        engine.ladder = replace(engine.ladder, forgive_minutes=3)
        refuse(engine), refuse(engine)
        clock.advance(2 * MINUTES)
        assert strikes(engine) == 1

    def test_minutes_that_clear_a_warning(self, engine, refuse, clock):
        engine.ladder = replace(engine.ladder, warned_minutes=2)
        refuse(engine, 1)
        clock.advance(2 * MINUTES - 1)
        assert engine.look().escalation == 1
        clock.advance(1)
        assert engine.look().escalation == 0

    def test_hours_that_lower_the_tier(self, engine, climb, clock):
        engine.ladder = replace(engine.ladder, decay_seconds=2 * HOURS)
        clock.advance(climb(4).until - clock.seconds + 2 * HOURS - 1)
        assert engine.look().escalation == 4
        clock.advance(1)
        assert engine.look().escalation == 3

    def test_the_moment_of_grace(self, engine, refuse, clock):
        engine.ladder = replace(engine.ladder, grace_seconds=180)
        for _ in range(3):
            refuse(engine)
        clock.advance(engine.request().until - clock.seconds)
        for expected in (0, 0, 0, 1):
            refuse(engine)
            assert strikes(engine) == expected


@pytest.mark.timeout(120)
class TestInTheLongRun:
    def test_hammering_is_blocked_ever_longer_and_then_suspended(self, engine, clock):
        outcome = scenarios.play(scenarios.HAMMERING, engine, clock)
        assert outcome.blocks == [(4, 2), (12, 3), (75, 4)]
        assert outcome.suspended_at / HOURS == pytest.approx(25.3, abs=0.05)
        assert outcome.served == 720 <= 800

    def test_the_email_of_the_day_block_comes_a_day_before_the_suspension(self, engine, clock):
        outcome = scenarios.play(scenarios.HAMMERING, engine, clock)
        (minute, tier) = outcome.blocks[-1]
        assert tier == 4
        assert outcome.suspended_at - (minute - 1) * MINUTES >= 24 * HOURS

    # It takes seconds: one engine shows it, and shorter runs that the others do the same.
    @pytest.mark.parametrize("server", ["valkey"], indirect=True)
    @pytest.mark.parametrize("scenario", scenarios.NEVER_PAST_TIER_1, ids=lambda scenario: scenario.name)
    def test_what_is_no_abuse_never_passes_tier_1(self, engine, clock, scenario):
        outcome = scenarios.play(scenario, engine, clock)
        assert (outcome.highest, outcome.blocks, outcome.suspended_at) == (1, [], None)
        assert outcome.refused > 0
