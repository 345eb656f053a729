"""Staff change a tier in a real browser, by keyboard alone; and two of them the same tier."""

import re

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from accounts import api_keys
from accounts.models import Tier, User
from tests.browser import assert_no_barriers, tab_to, well_behaved

pytestmark = [
    pytest.mark.browser,
    pytest.mark.once,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("valkey", "no_worker"),
]


@pytest.fixture
def a_customers_key(transactional_db):
    return api_keys.issue(User.objects.create_user("olivia@example.com"), name="prod")[0]


@pytest.fixture
def sign_in(transactional_db, live_server):
    """Gives a browser's context the session of a member of Limits."""

    def give(context, email):
        person = User.objects.create_user(email, "correct horse battery", is_staff=True)
        person.groups.add(Group.objects.get(name="Limits"))
        client = Client()
        client.force_login(person)
        session = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        return context.new_page()

    return give


def type_over(page: Page, text: str) -> None:
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(text)


def test_staff_lower_a_tier_and_undo_it_by_keyboard(context, sign_in, live_server, a_customers_key):
    page = sign_in(context, "lionel@example.com")
    with well_behaved(page, live_server.url):
        page.goto(f"{live_server.url}/staff/tiers/")
        assert_no_barriers(page)
        tab_to(page, "link", "Free")
        page.keyboard.press("Enter")
        tab_to(page, "spinbutton", "Requests per minute")
        type_over(page, "20")
        assert_no_barriers(page)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Change Free?")).to_be_visible()
        expect(page.get_by_text("1 key of this tier follows it.")).to_be_visible()
        expect(page.get_by_text(re.compile("replay", re.I)).first).to_be_visible()
        assert_no_barriers(page)
        tab_to(page, "textbox", "Why")
        page.keyboard.type("Too many retries.")
        tab_to(page, "button", "Save the change")
        page.keyboard.press("Enter")
        expect(page.get_by_text("This field is required.")).to_be_visible()
        assert_no_barriers(page)
        tab_to(page, "textbox", re.compile("Type “Free”"))
        page.keyboard.type("Free")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Saved. In force everywhere within 2 seconds.")).to_be_visible()
        assert Tier.objects.get(slug="free").minute == 20
        assert_no_barriers(page)
        tab_to(page, "button", re.compile("Undo"))
        page.keyboard.press("Enter")
        expect(page.get_by_text("Undone. In force everywhere within 2 seconds.")).to_be_visible()
        assert Tier.objects.get(slug="free").minute == 30
        assert_no_barriers(page)


def test_of_two_at_the_same_tier_the_second_is_told_and_keeps_what_they_typed(
    browser: Browser, sign_in, live_server
):
    contexts = [browser.new_context(java_script_enabled=script) for script in (False, True)]
    lionel = sign_in(contexts[0], "lionel@example.com")
    mia = sign_in(contexts[1], "mia@example.com")
    try:
        for page, minute in ((mia, "40"), (lionel, "50")):
            page.goto(f"{live_server.url}/staff/tiers/free/")
            page.get_by_label("Requests per minute").fill(minute)
            page.get_by_role("button", name="Preview").click()
            page.get_by_label("Why").fill(f"We need {minute}.")
        lionel.get_by_role("button", name="Save the change").click()
        expect(lionel.get_by_text("Saved.")).to_be_visible()
        mia.get_by_role("button", name="Save the change").click()
        expect(mia.get_by_role("alert").first).to_contain_text("lionel@example.com")
        expect(mia.get_by_role("alert").first).to_contain_text("We need 50.")
        expect(mia.get_by_label("Why")).to_have_value("We need 40.")
        expect(mia.get_by_text("now 50")).to_be_visible()
        assert Tier.objects.get(slug="free").minute == 50
        assert_no_barriers(mia)
    finally:
        for context in contexts:
            context.close()
