"""The minutes that led to a block: as the books tell them, and as the ladder's own rules have it."""

import random
from datetime import timedelta

import pytest

from tests.usage.escalation.customer import DAY, MINUTE
from usage.blocks.reconstruction import (
    Climb,
    Record,
    reconstruct,
    refused_during,
    strikes_among,
)
from usage.books import retention
from usage.books.booking import book_closed_minutes
from usage.books.watermark import booked_until
from usage.escalation import reactivation
from usage.escalation.following import follow_changes
from usage.escalation.ladder import Ladder, Place
from usage.escalation.policy import read_ladder
from usage.guard.local_hits import local_hits
from usage.limits.store import limit_store
from usage.models import EscalationEvent, EscalationPolicy, RateHit, UsageMinute


def climbs_of(key):
    """Each step up, with the change before it."""
    events = list(EscalationEvent.objects.filter(key=key).exclude(cause="decay").order_by("at", "id"))
    before = [None, *events]
    return [Climb(one, before[n]) for n, one in enumerate(events) if one.cause == "strikes"]


def booked(key):
    return booked_until(f"k:{key.pk}")


def newest_of(key, clock):
    return reconstruct(climbs_of(key)[-1:], read_ladder(), clock.at, booked(key))[0]


def told(found):
    return [(f"{minute.at:%H:%M}", minute.served, minute.refused) for minute in found.minutes]


@pytest.mark.parametrize("seed", range(30))
def test_the_rules_are_the_oracles(seed):
    """Refusals and quiet at random: as many strikes are left in the end as the oracle counts."""
    chance = random.Random(seed)
    ladder = Ladder(forgive_minutes=chance.choice((1, 3, 10)), strike_refusals=chance.choice((1, 5)))
    # No step is ever reached: what is compared are strikes alone.
    ladder = Ladder(
        forgive_minutes=ladder.forgive_minutes,
        strike_refusals=ladder.strike_refusals,
        steps=tuple(step._replace(strikes=10**6) for step in ladder.steps),
    )
    limit, place, refused = chance.choice((10, 30, None)), Place(), []
    minute = 29_000_000
    for _ in range(200):
        minute += chance.choice((1, 1, 1, 2, 5, 12, 40))
        number = chance.choice((0, 1, 4, 5, 6, 20))
        for request in range(number + 1):
            place, move = place.arrive(minute * 60, limit, ladder, "k:1")
            assert move is None
            place = place.counted(minute * 60, limit, ladder, refused=request < number)
        if number:
            refused.append((minute, number))
        later = minute + 1
        counted, forgiven = strikes_among(refused, later, limit, ladder)
        assert len(counted) == place.shown(later * 60, limit, ladder)[1]
        assert len(counted) + forgiven == sum(ladder.is_bad(n, limit) for _, n in refused)


class TestRealTraffic:
    pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.usage.api_urls")]

    def test_the_three_minutes_of_a_cooldown(self, customer, driven_clock):
        customer.climbs_to(2)
        customer.is_booked()
        found = newest_of(customer.key, driven_clock)
        assert told(found) == [("12:00", 10, 10), ("12:01", 10, 10), ("12:02", 10, 10)]
        assert (found.strikes, found.forgiven, found.record, found.adds_up) == (3, 0, Record.ALL, True)
        assert [(part.route, part.kind, part.number, part.address) for part in found.parts] == [
            ("convert", "minute", 10, "127.0.0.1")
        ] * 3
        assert {part.told_seconds for part in found.parts} == {60}

    def test_every_step_of_a_whole_climb_has_its_own_minutes(self, customer, driven_clock):
        customer.climbs_to(5)
        customer.is_booked()
        found = reconstruct(climbs_of(customer.key), read_ladder(), driven_clock.at, booked(customer.key))
        assert [len(one.minutes) for one in found] == [3, 2, 2, 2]
        assert all(one.adds_up for one in found)
        minutes = [minute.at for one in found for minute in one.minutes]
        assert minutes == sorted(set(minutes))

    def test_it_is_told_at_once_from_what_the_store_has(self, customer, driven_clock):
        customer.climbs_to(2)
        follow_changes(limit_store())
        found = newest_of(customer.key, driven_clock)
        assert told(found) == [("12:00", 10, 10), ("12:01", 10, 10), ("12:02", 10, 10)]
        assert found.adds_up
        assert found.parts[0][1:] == ("convert", "minute", 10, "", "", None, None)

    def test_strikes_that_were_forgiven_are_told_apart(self, customer, driven_clock):
        customer.hammers_for_a_minute()
        customer.hammers_for_a_minute()
        driven_clock.advance(10 * MINUTE)
        for _ in range(2):
            customer.hammers_for_a_minute()
        customer.asks()
        customer.is_booked()
        found = newest_of(customer.key, driven_clock)
        assert told(found) == [("12:01", 10, 10), ("12:12", 10, 10), ("12:13", 10, 10)]
        assert (found.forgiven, found.adds_up) == (1, True)

    def test_minutes_with_too_few_refusals_are_none_of_them(self, customer, driven_clock):
        customer.hammers_for_a_minute(14)  # 4 refused: no strike
        for _ in range(3):
            customer.hammers_for_a_minute(15)
        customer.asks()
        customer.is_booked()
        assert told(newest_of(customer.key, driven_clock)) == [
            ("12:01", 10, 5),
            ("12:02", 10, 5),
            ("12:03", 10, 5),
        ]

    def test_the_grace_after_a_block_strikes_nothing(self, customer, driven_clock):
        driven_clock.advance(30)
        customer.climbs_to(2)  # at 12:03:30, until 12:08:30, and grace until 12:09:30
        driven_clock.set("2026-03-01T12:08:40")
        customer.asks(20)
        driven_clock.set("2026-03-01T12:09:20")
        customer.asks(14)
        driven_clock.set("2026-03-01T12:09:40")
        customer.asks(4)  # eight refusals in this minute, and but four that may strike
        driven_clock.set("2026-03-01T12:10:00")
        local_hits().flush()
        customer.hammers_for_a_minute()
        customer.hammers_for_a_minute()
        assert customer.asks().json()["escalation"]["tier"] == 3
        customer.is_booked()
        found = newest_of(customer.key, driven_clock)
        assert told(found) == [("12:10", 10, 10), ("12:11", 10, 10)]
        assert found.adds_up

    def test_what_came_before_staff_reactivated_is_forgotten(self, customer, driven_clock):
        customer.climbs_to(2)
        follow_changes(limit_store())
        reactivation.reactivate(customer.key, by=None, reason="Mended.", clean=True)
        driven_clock.advance(2 * MINUTE)
        customer.climbs_to(2)
        customer.is_booked()
        assert told(newest_of(customer.key, driven_clock)) == [
            ("12:05", 10, 10),
            ("12:06", 10, 10),
            ("12:07", 10, 10),
        ]

    def test_days_limits_strike_as_well_and_are_told_as_such(self, customer, driven_clock):
        type(customer.key).objects.filter(pk=customer.key.pk).update(day_override=3)
        customer.climbs_to(2)
        customer.is_booked()
        found = newest_of(customer.key, driven_clock)
        assert told(found) == [("12:00", 3, 17), ("12:01", 0, 20), ("12:02", 0, 20)]
        assert all(minute.is_over_the_day for minute in found.minutes)

    def test_changed_numbers_are_said_not_to_add_up(self, customer, driven_clock):
        customer.climbs_to(2)
        customer.is_booked()
        policy = EscalationPolicy.objects.get()
        policy.strike_refusals = 11
        policy.save()
        found = newest_of(customer.key, driven_clock)
        assert not found.adds_up

    def test_when_the_minutes_are_gone_the_hits_tell_and_then_the_change_alone(self, customer, driven_clock):
        customer.climbs_to(2)
        customer.is_booked()
        driven_clock.advance(8 * DAY)
        retention.forget_what_is_old(driven_clock.at)
        assert not UsageMinute.objects.exists()
        found = newest_of(customer.key, driven_clock)
        assert told(found) == [("12:00", None, 10), ("12:01", None, 10), ("12:02", 10, 10)]
        assert (found.record, found.adds_up) == (Record.HITS, True)
        driven_clock.advance(90 * DAY)
        retention.forget_what_is_old(driven_clock.at)
        assert not RateHit.objects.exists()
        found = newest_of(customer.key, driven_clock)
        assert (told(found), found.parts) == ([("12:02", 10, 10)], [])
        assert (found.record, found.adds_up) == (Record.CHANGE, False)

    def test_what_met_the_block_is_counted_booked_or_not(self, customer, driven_clock):
        customer.climbs_to(2)
        customer.asks(4)
        customer.is_booked()
        customer.asks(7)
        local_hits().flush()
        event = EscalationEvent.objects.get()
        refused = refused_during(event, event.until, driven_clock.at, booked(customer.key))
        assert refused.number == 1 + 4 + 7
        assert refused.hastiest.told_seconds == 300

    def test_what_was_refused_after_its_end_is_not_of_the_block(self, customer, driven_clock):
        customer.climbs_to(3)
        customer.is_booked()
        first, second = EscalationEvent.objects.order_by("at")
        book_closed_minutes(limit_store())
        later = driven_clock.at + timedelta(days=1)
        assert refused_during(first, first.until, later, booked(customer.key)).number == 1
        assert refused_during(second, second.until, later, booked(customer.key)).number == 1

    def test_queries_dont_grow_with_the_steps(self, customer, driven_clock, django_assert_max_num_queries):
        customer.climbs_to(5)
        customer.is_booked()
        climbs, ladder = climbs_of(customer.key), read_ladder()
        until = booked(customer.key)
        with django_assert_max_num_queries(3):
            reconstruct(climbs, ladder, driven_clock.at, until)
