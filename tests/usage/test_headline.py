"""The strip at the top of the usage page: the one thing to know first, and true for as long as it says."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import ApiKey
from tests.usage.escalation.customer import DAY, HOUR, MINUTE, Customer
from usage.escalation import reactivation
from usage.escalation.following import follow_changes
from usage.headline import headline_of
from usage.limits.store import limit_store
from usage.standing import standing_of_key

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.usage.api_urls")]


@pytest.fixture
def customer(issue, driven_clock):
    key, text = issue(minute_override=10, day_override=100_000)
    one = Customer(text, driven_clock)
    one.key = key
    return one


def strip(key):
    key = ApiKey.objects.select_related("tier", "owner").get(pk=key.pk)
    return headline_of(key, standing_of_key(key))


@pytest.mark.parametrize(
    ("tier", "title", "seconds"),
    [(2, "is cooling down", 5 * MINUTE), (3, "is blocked", HOUR), (4, "is blocked", DAY)],
)
def test_it_says_blocked_for_exactly_as_long_as_requests_are_refused(customer, tier, title, seconds):
    customer.climbs_to(tier)
    begun = customer.clock.at
    follow_changes(limit_store())
    customer.clock.advance(seconds - 1)
    headline = strip(customer.key)
    assert (headline.title, headline.level) == (title, "full")
    assert headline.until - begun == timedelta(seconds=seconds)
    assert customer.asks().status_code == 429
    customer.clock.advance(1)
    headline = strip(customer.key)
    assert (headline.title, headline.level) == ("Warned:", "near")
    assert headline.until - begun == timedelta(seconds=seconds + DAY)
    assert customer.asks().status_code == 200


def test_warned_ends_when_it_says(customer):
    customer.hammers_for_a_minute(times=12)
    headline = strip(customer.key)
    assert (headline.title, headline.level) == ("Warned:", "near")
    customer.clock.advance((headline.until - customer.clock.at).total_seconds() - 1)
    assert strip(customer.key).title == "Warned:"
    customer.clock.advance(1)
    assert strip(customer.key).title == "All clear."


def test_a_tier_drops_when_it_says_and_a_refusal_makes_it_later(customer):
    customer.climbs_to(3)
    customer.clock.advance(HOUR + DAY - MINUTE)
    first = strip(customer.key).until
    assert first - customer.clock.at == timedelta(minutes=1)
    customer.asks(11)
    customer.clock.advance(MINUTE)
    later = strip(customer.key).until
    assert later - first == timedelta(days=1) - timedelta(minutes=1)
    customer.clock.advance((later - customer.clock.at).total_seconds())
    assert standing_of_key(customer.key).footing.escalation == 2


def test_a_full_limit_is_said_before_a_tier_that_is_remembered(customer):
    customer.climbs_to(2)
    customer.clock.advance(5 * MINUTE)
    customer.asks(10)
    assert strip(customer.key).title == "Limit reached:"
    told = customer.asks().json()["escalation"]
    footing = standing_of_key(customer.key).footing
    assert (told["tier"], told["until"]) == (footing.escalation, footing.blocked_until) == (2, None)
    assert told["strikes_to_next_tier"] == footing.strikes_left == 2
    customer.clock.advance(MINUTE)
    assert strip(customer.key).then == "it drops by one"


def test_a_suspension_comes_before_anything_else_but_a_revocation(customer):
    reactivation.suspend(customer.key, by=None, reason="x" * 500)
    ApiKey.objects.filter(pk=customer.key.pk).update(expires_at=timezone.now() - timedelta(days=1))
    headline = strip(customer.key)
    assert (headline.title, headline.until) == ("is suspended by staff", None)
    assert len(headline.detail) < 320
    ApiKey.objects.filter(pk=customer.key.pk).update(status=ApiKey.Status.REVOKED)
    assert strip(customer.key).title == "is revoked"
