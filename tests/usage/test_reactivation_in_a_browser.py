"""The road back from a suspension in a real browser: the customer asks, staff answer, the key works. Neither
of them has a mouse.
"""

import pytest
import requests
from playwright.sync_api import expect

from tests.accounts.conftest import PASSWORD, member_of
from tests.browser import PHONE, assert_no_barriers, tab_to, well_behaved
from tests.usage.blocks.conftest import Watched
from usage.models import EscalationEvent

pytestmark = [pytest.mark.browser, pytest.mark.once, pytest.mark.django_db(transaction=True)]

NOTE = "The loop had no wait. It has one now."
REASON = "Thank you: that was it."


def sign_in(page, home, email):
    page.goto(f"{home}/accounts/login/")
    page.get_by_label("Email address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{home}/")


def follow(page, role, name):
    tab_to(page, role, name)
    page.keyboard.press("Enter")


def test_suspended_asks_and_works_again(browser, live_server, issue, driven_clock):
    key, text = issue(minute_override=10, day_override=100_000)
    customer = Watched(text, driven_clock)
    customer.climbs_to(5)
    customer.is_booked()
    member_of("Support", "sue@example.com").person.vouch_for_address()
    home = live_server.url
    olivia, sue = browser.new_page(viewport=PHONE), browser.new_page()
    with well_behaved(olivia, home):
        sign_in(olivia, home, "olivia@example.com")
        expect(olivia.locator(".kp-strip")).to_contain_text("Key prod is suspended.")
        follow(olivia, "link", "Ask for reactivation")
        expect(olivia.get_by_role("heading", name="Why was “prod” suspended?")).to_be_visible()
        minutes = olivia.get_by_role("region", name="The minutes that struck")
        expect(minutes.locator(".kp-minute-number")).to_have_text(["20 requests, limit 10"] * 2)
        did_wrong = olivia.locator(".kp-wrongs strong").all_inner_texts()
        assert_no_barriers(olivia)
    # The console tells of the 422.
    follow(olivia, "button", "Ask for reactivation")
    expect(olivia.get_by_text("Say what you have changed: it is")).to_be_visible()
    assert_no_barriers(olivia)
    with well_behaved(olivia, home), well_behaved(sue, home):
        tab_to(olivia, "textbox", "What did you change?")
        olivia.keyboard.type(NOTE)
        follow(olivia, "button", "Ask for reactivation")
        expect(olivia.get_by_text("waiting for staff")).to_be_visible()
        assert_no_barriers(olivia)

        sign_in(sue, home, "sue@example.com")
        sue.goto(f"{home}/staff/")
        menu = sue.get_by_role("navigation", name="Staff")
        expect(menu.get_by_role("link", name="Reactivations")).to_contain_text("1 waiting")
        follow(sue, "link", "Reactivations")
        expect(sue.get_by_text(NOTE)).to_be_visible()
        assert_no_barriers(sue)
        follow(sue, "link", "Read and answer")
        expect(sue.get_by_label("Reactivate on probation")).to_be_checked()
        assert sue.locator(".kp-wrongs strong").all_inner_texts() == did_wrong
        assert did_wrong[0] == "20 requests in one minute, limit 10."
        expect(sue.get_by_label("Reactivate on probation")).to_be_checked()
        assert_no_barriers(sue)
        tab_to(sue, "textbox", "Reason")
        sue.keyboard.type(REASON)
        follow(sue, "button", "Send the answer")
        expect(sue.get_by_text("works again, on probation")).to_be_visible()
        expect(sue.get_by_text("Nobody waits")).to_be_visible()

        driven_clock.advance(60)
        headers = {"X-Api-Key": text}
        answer = requests.get(f"{home}/api/v1/entitlements/me", headers=headers, timeout=10)
        assert answer.status_code == 200
        olivia.reload()
        expect(olivia.locator(".kp-strip")).to_contain_text(f"Lifted by staff: {REASON}")
        expect(olivia.get_by_role("heading", name="Ask for reactivation")).to_be_hidden()
        expect(olivia.locator(".kp-quote-answer")).to_contain_text(REASON)
        assert_no_barriers(olivia)
        olivia.goto(f"{home}/usage/blocks/?key={key.start}")
        expect(olivia.get_by_role("listitem")).to_have_count(4)
        assert_no_barriers(olivia)
    assert EscalationEvent.objects.get(cause="reactivated").reason == REASON
    for one in (olivia, sue):
        one.close()
