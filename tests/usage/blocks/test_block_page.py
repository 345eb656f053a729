"""Why was I blocked? What the owner of a key reads of a block, and nobody else does."""

import re
from html import unescape

import pytest
import redis
from django.urls import reverse

from accounts.keys import actions
from accounts.models import ApiKey, User
from tests.usage.escalation.customer import DAY
from usage.blocks.reconstruction import Part, Reconstruction, Record, Refused, StruckMinute
from usage.blocks.wrongs import wrongs_of
from usage.escalation import reactivation
from usage.guard.local_hits import local_hits
from usage.limits.store import limit_store
from usage.models import EscalationEvent

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def signed_in(client, owner):
    client.force_login(owner)
    return client


def words(response):
    """A page's text with one space between words."""
    content = re.sub(r"</?(strong|code|time)\b[^>]*>", "", response.content.decode())
    content = re.sub(r"<(script|style|svg)\b.*?</\1>", "", content, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", content)).split())


def page_of(client, event=None):
    event = event or EscalationEvent.objects.filter(cause__in=("strikes", "suspended")).latest("at")
    return words(client.get(reverse("block", args=[event.pk])))


def test_a_running_block_says_when_it_ends_what_led_to_it_and_what_still_works(signed_in, customer):
    customer.climbs_to(2)
    customer.asks(5)
    customer.is_booked()
    said = page_of(signed_in)
    assert "Why was “prod” blocked?" in said
    assert "Blocked: requests that count are refused. It ends by itself. until 12:08 UTC in" in said
    assert "After 3 strikes, a request to convert at 12:03 UTC led from “Standard” to Extended" in said
    assert "Extended cooldown, a block of 5 minutes" in said
    assert said.count("20 requests, limit 10") == 3
    assert said.count("10 served 10 refused convert 10 refused by the minute's limit") == 3
    assert "one came from 127.0.0.1" in said
    assert "20 requests in one minute, limit 10." in said
    assert "Requests came within 20 ms of a refusal with a Retry-After of" in said
    assert "It kept asking during the block: 6 requests were refused, which changed nothing." in said
    assert "Asking for jobs, and those that run go on" in said
    assert "2 strikes from there lead to a Temporary block of 1 hour." in said
    assert "drops by one for every 24 hours without a refusal" in said
    assert "Ask for reactivation" not in said


def test_it_tells_the_numbers_that_the_email_tells(signed_in, customer):
    customer.climbs_to(4)
    customer.is_booked()
    event = EscalationEvent.objects.get(after=4)
    said = page_of(signed_in, event)
    assert f"{event.served} served {event.refused} refused" in said
    assert f"{event.served + event.refused} requests, limit {event.minute_limit}" in said


def test_a_block_that_is_over_says_so(signed_in, customer, driven_clock):
    customer.climbs_to(2)
    driven_clock.advance(DAY)
    customer.is_booked()
    said = page_of(signed_in)
    assert "Over: it ended by itself." in said
    assert "What still worked" in said
    assert "The tier stayed after its end" in said


def test_a_block_that_staff_lifted_says_why(signed_in, customer):
    customer.climbs_to(4)
    customer.is_booked()
    reactivation.reactivate(customer.key, by=None, reason="A mistake of ours.")
    assert "Lifted by staff: A mistake of ours." in page_of(signed_in)


def test_a_block_that_a_suspension_of_staff_ended_says_so(signed_in, customer):
    customer.climbs_to(4)
    customer.is_booked()
    block = EscalationEvent.objects.get(after=4)
    reactivation.suspend(customer.key, by=None, reason="Stolen.")
    assert "staff suspended the key while it lasted" in page_of(signed_in, block)
    said = page_of(signed_in, EscalationEvent.objects.get(cause="suspended"))
    assert "Their reason: Stolen." in said
    assert "The minutes that struck" not in said
    assert "Ask for reactivation" in said


def test_a_suspension_has_no_countdown_but_a_question(signed_in, customer):
    customer.climbs_to(5)
    customer.is_booked()
    response = signed_in.get(reverse("block", args=[EscalationEvent.objects.get(after=5).pk]))
    said = words(response)
    assert "Suspended: requests with this key are answered 403 until a person reactivates it." in said
    assert "data-countdown" not in response.content.decode()
    assert "What did you change?" in said
    assert "Downloads that are already paid for" in said
    assert "Mostly a key comes back on probation: tier 3 (Temporary block) is remembered" in said


def test_a_revoked_key_can_not_ask(signed_in, customer, owner):
    customer.climbs_to(5)
    customer.is_booked()
    actions.revoke(ApiKey.objects.get(), by=owner)
    said = page_of(signed_in)
    assert "The key is revoked: it is refused for good" in said
    assert "What did you change?" not in said


def test_while_the_minutes_are_not_all_known_the_page_says_so(signed_in, customer):
    customer.climbs_to(2)
    customer.is_booked()
    EscalationEvent.objects.update(strikes=7)
    assert "Only 3 of 7 strikes can be shown" in page_of(signed_in)


@pytest.mark.parametrize("name", ["block", "ask_for_reactivation"])
def test_other_accounts_find_nothing_there(client, customer, name):
    customer.climbs_to(5)
    customer.is_booked()
    client.force_login(User.objects.create_user("mallory@example.com"))
    pk = EscalationEvent.objects.get(after=5).pk if name == "block" else customer.key.pk
    assert client.get(reverse(name, args=[pk])).status_code == 404
    assert client.post(reverse(name, args=[pk]), {"note": "x"}).status_code in (404, 405)
    assert client.get(reverse("blocks"), {"key": customer.key.start}).status_code == 404


def test_who_is_not_signed_in_is_asked_to(client, customer):
    customer.climbs_to(2)
    customer.is_booked()
    response = client.get(reverse("block", args=[EscalationEvent.objects.get().pk]))
    assert response.status_code == 302
    assert response.url.startswith(reverse("account_login"))


def test_what_is_no_block_has_no_page(signed_in, customer):
    customer.climbs_to(5)
    customer.is_booked()
    reactivation.reactivate(customer.key, by=None, reason="Mended.")
    event = EscalationEvent.objects.get(cause="reactivated")
    assert signed_in.get(reverse("block", args=[event.pk])).status_code == 404
    assert signed_in.get(reverse("block", args=[event.pk + 1000])).status_code == 404


def test_the_list_leads_to_each_block_and_says_how_it_ended(signed_in, customer):
    customer.climbs_to(5)
    customer.is_booked()
    reactivation.reactivate(customer.key, by=None, reason="Mended.")
    response = signed_in.get(reverse("blocks"), {"key": customer.key.start})
    said = words(response)
    assert "Suspension Lifted by staff 20 requests in one minute, limit 10; second strike." in said
    assert "Day block of 24 hours Over" in said
    for event in EscalationEvent.objects.filter(cause="strikes"):
        assert reverse("block", args=[event.pk]) in response.content.decode()


def test_an_empty_list_says_what_it_is_for(signed_in, issue, owner):
    assert "You have no API key yet" in words(signed_in.get(reverse("blocks")))
    issue()
    assert "This key was never blocked" in words(signed_in.get(reverse("blocks")))


def test_a_long_list_has_pages(signed_in, customer, driven_clock):
    for number in range(30):
        EscalationEvent.objects.create(
            event_id=str(number),
            subject=f"k:{customer.key.pk}",
            key=customer.key,
            at=driven_clock.at,
            cause="strikes",
            before=1,
            after=2,
            strikes=3,
            until=driven_clock.at,
        )
    first = signed_in.get(reverse("blocks"), {"key": customer.key.start})
    assert len(first.context["blocks"]) == 25
    second = signed_in.get(reverse("blocks"), {"key": customer.key.start, "page": 2})
    assert len(second.context["blocks"]) == 5


def test_an_old_start_finds_the_key_and_a_refusal_leads_to_it(signed_in, customer, owner):
    """`explain_url` of a refusal leads to the usage page of the key."""
    refusal = customer.climbs_to(2).json()
    url = refusal["escalation"]["explain_url"]
    assert url.endswith(f"/usage/?key={customer.key.start}")
    arrived = signed_in.get("/usage/", {"key": customer.key.start}, follow=True)
    assert (arrived.status_code, arrived.context["key"]) == (200, customer.key)


@pytest.mark.parametrize("tier", [2, 5])
def test_the_page_costs_few_queries(signed_in, customer, tier, django_assert_max_num_queries):
    customer.climbs_to(tier)
    customer.is_booked()
    event = EscalationEvent.objects.latest("at")
    signed_in.get("/keys/")  # the session is known from then on
    with django_assert_max_num_queries(12):
        assert signed_in.get(reverse("block", args=[event.pk])).status_code == 200
    with django_assert_max_num_queries(12):
        signed_in.get(reverse("blocks"), {"key": customer.key.start})


def test_without_the_limit_store_the_page_is_there(signed_in, customer, monkeypatch):
    customer.climbs_to(5)
    customer.is_booked()
    local_hits().flush()
    monkeypatch.setattr(limit_store(), "client", redis.Redis.from_url("unix:///nowhere/valkey.sock"))
    assert "Ask for reactivation" in page_of(signed_in)


class TestWhatTheClientDidWrong:
    def found(self, *minutes):
        return Reconstruction(len(minutes), list(minutes), 0, Record.ALL)

    def minute(self, at, served=30, refused=88, limit=30, **part):
        parts = [Part(at, "convert", "minute", refused, **part)] if part else []
        return StruckMinute(at, served, refused, limit, parts)

    def said(self, *args):
        return [wrong.what for wrong in wrongs_of(*args)]

    def test_the_worst_minute_with_its_limit(self, driven_clock):
        at = driven_clock.at
        assert self.said(self.found(self.minute(at), self.minute(at, refused=3)), None) == [
            "118 requests in one minute, limit 30."
        ]

    def test_how_soon_it_came_back(self, driven_clock):
        minute = self.minute(driven_clock.at, told_seconds=34, waited_ms=200)
        assert self.said(self.found(minute), None)[1] == "It retried 0.2 s after a Retry-After of 34 s."

    def test_the_most_impatient_example_of_all(self, driven_clock):
        minute = self.minute(driven_clock.at, told_seconds=34, waited_ms=12_400)
        met = Refused(1, Part(driven_clock.at, "convert", "blocked", 1, "", "", 3600, 2_000))
        assert self.said(self.found(minute), met)[1] == "It retried 2 s after a Retry-After of 3,600 s."

    def test_what_was_sent_at_the_same_time_is_not_called_impatience(self, driven_clock):
        minute = self.minute(driven_clock.at, told_seconds=34, waited_ms=3)
        assert "sent at the same time" in self.said(self.found(minute), None)[1]

    def test_going_on_after_the_day_was_used_up(self, driven_clock):
        at = driven_clock.at
        minute = StruckMinute(at, 0, 20, 30, [Part(at, "convert", "day", 20)])
        assert self.said(self.found(minute), None) == ["It went on after the day's requests were used up."]

    def test_nobody_is_blamed_for_the_one_request_that_met_the_block(self, driven_clock):
        assert self.said(self.found(self.minute(driven_clock.at)), Refused(1, None)) == [
            "118 requests in one minute, limit 30."
        ]
