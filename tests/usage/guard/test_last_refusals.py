"""Who came although they had been told to wait: from the guard's memory to the row in SQL."""

import pytest

from tests.usage.escalation.customer import HOUR, MINUTE, Customer
from usage.books.booking import book_closed_minutes
from usage.escalation import reactivation
from usage.escalation.following import follow_changes
from usage.guard import guard, last_refusals
from usage.guard.known_blocks import KnownBlocks
from usage.guard.last_refusals import Hurry, LastRefusals
from usage.guard.local_hits import local_hits
from usage.limits.store import limit_store
from usage.models import RateHit


class Seconds:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Seconds()


@pytest.fixture
def refusals(clock):
    return LastRefusals(clock)


def test_the_first_refusal_blames_nobody(refusals):
    assert refusals.note("k:1", "minute", 34) is None


def test_who_comes_before_the_time_is_told_how_long_they_waited(refusals, clock):
    refusals.note("k:1", "minute", 34)
    clock.now += 0.2
    assert refusals.note("k:1", "minute", 34) == Hurry(34, 200)
    clock.now += 33.9
    assert refusals.note("k:1", "minute", 1) == Hurry(34, 33_900)


def test_who_waits_as_told_and_is_refused_again_did_nothing_wrong(refusals, clock):
    refusals.note("k:1", "minute", 34)
    clock.now += 34
    assert refusals.note("k:1", "minute", 60) is None


def test_one_client_is_not_blamed_for_another(refusals):
    refusals.note("k:1", "minute", 34)
    assert refusals.note("k:2", "minute", 34) is None


@pytest.mark.parametrize(
    ("before", "after", "is_blamed"),
    [
        ("minute", "minute", True),
        ("minute", "cooldown", True),
        ("cooldown", "blocked", True),
        ("concurrent", "minute", True),
        ("blocked", "minute", False),
        ("day", "minute", False),
        ("minute", "concurrent", False),
    ],
)
def test_what_the_client_was_told_to_wait_for_must_still_be_there(refusals, before, after, is_blamed):
    """A block that staff lifted, a limit that they raised: who comes then was perhaps told so."""
    refusals.note("k:1", before, 300)
    assert (refusals.note("k:1", after, 30) is not None) is is_blamed


def test_it_is_bounded_and_whoever_came_first_goes(refusals, monkeypatch):
    monkeypatch.setattr(last_refusals, "CAPACITY", 10)
    for number in range(25):
        refusals.note(f"k:{number}", "minute", 34)
    assert list(refusals._told) == [f"k:{number}" for number in range(15, 25)]


class TestThroughTheGuard:
    pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.usage.api_urls")]

    @pytest.fixture(autouse=True)
    def _monotonic(self, monkeypatch, clock):
        monkeypatch.setattr(guard, "LastRefusals", lambda: LastRefusals(clock))

    @pytest.fixture
    def customer(self, issue, new_client, driven_clock):
        key, text = issue(minute_override=2, day_override=100_000)
        one = Customer(text, driven_clock, lambda **_: api)
        api = new_client()  # one process for all of its requests
        one.key = key
        return one

    @staticmethod
    def booked(driven_clock):
        assert local_hits().flush()
        driven_clock.advance(65)
        book_closed_minutes(limit_store())
        return list(
            RateHit.objects.values_list("kind", "count", "told_seconds", "waited_ms").order_by("kind")
        )

    def test_the_most_impatient_of_a_minute_is_the_example(self, customer, clock, driven_clock):
        customer.asks(3)
        for wait in (5.0, 0.25, 2.0):
            clock.now += wait
            answer = customer.asks()
        assert answer.headers["Retry-After"] == "60"
        assert self.booked(driven_clock) == [("minute", 4, 60, 250)]

    def test_who_was_refused_once_has_no_example(self, customer, driven_clock):
        customer.asks(3)
        assert self.booked(driven_clock) == [("minute", 1, None, None)]

    def test_blocks_that_are_refused_without_the_store_count_as_well(self, customer, clock, driven_clock):
        for _ in range(3):
            customer.hammers_for_a_minute(7)
            local_hits().flush()
            clock.now += MINUTE
        customer.asks()
        clock.now += 0.5
        customer.asks()
        kinds = {row[0]: row[1:] for row in self.booked(driven_clock)}
        assert kinds["cooldown"] == (2, 300, 500)

    def test_who_comes_back_after_staff_lifted_a_block_is_not_blamed(
        self, customer, clock, driven_clock, monkeypatch
    ):
        monkeypatch.setattr(KnownBlocks, "recall", lambda *_: None)
        for _ in range(3):
            customer.hammers_for_a_minute(7)
            local_hits().flush()
            clock.now += MINUTE
        customer.asks()
        follow_changes(limit_store())
        reactivation.reactivate(customer.key, by=None, reason="Mended.")
        driven_clock.advance(MINUTE)
        clock.now += MINUTE
        assert customer.asks(3).json()["limit"] == "minute"
        self.booked(driven_clock)
        newest = RateHit.objects.filter(kind="minute").order_by("-minute").first()
        assert (newest.count, newest.told_seconds) == (1, None)

    def test_a_day_of_waiting_fits_the_column(self, customer, clock, driven_clock):
        type(customer.key).objects.filter(pk=customer.key.pk).update(day_override=1)
        customer.asks(2)
        clock.now += 11 * HOUR
        customer.asks()
        assert self.booked(driven_clock) == [("day", 2, 12 * HOUR, 11 * HOUR * 1000)]
