"""The pages about webhooks in a browser: by keyboard, without scripts, and with nothing that axe finds."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from accounts.models import User
from images.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from images.webhooks import actions, signing
from tests.browser import assert_no_barriers, well_behaved

pytestmark = [
    pytest.mark.browser,
    pytest.mark.once,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("valkey"),
]

PASSWORD = "correct horse battery"


@pytest.fixture
def olivia(transactional_db) -> User:
    return User.objects.create_user("olivia@example.com", PASSWORD)


@pytest.fixture
def signed_in(client, olivia, live_server, monkeypatch):
    monkeypatch.setattr(actions, "wake", lambda: None)

    def give(context):
        client.force_login(olivia)
        session = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])

    return give


@pytest.fixture
def home(context, signed_in, live_server) -> str:
    signed_in(context)
    return live_server.url


def is_it_you(page: Page) -> None:
    expect(page.get_by_role("heading", name="Is it you?")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()


def one_of_each(owe) -> list[WebhookDelivery]:
    """An event in each state it can be in."""
    url = "https://hooks.example.com/a/rather/long/address/that/has/to/be/broken/somewhere?job=all"
    states = [
        ("delivered", 1, None, 200, ""),
        ("waiting", 0, timedelta(0), None, ""),
        ("waiting", 3, timedelta(hours=2), None, "TLS failed: self-signed certificate"),
        ("sending", 1, timedelta(minutes=1), 503, ""),
        ("failed", 7, None, 302, ""),
    ]
    made = []
    for status, attempts, pause, code, error in states:
        delivery = owe(url)
        delivery.status, delivery.attempts = status, attempts
        delivery.next_attempt_at = None if pause is None else timezone.now() + pause
        delivery.save()
        if attempts:
            WebhookAttempt.objects.create(
                delivery=delivery, status_code=code, error=error, milliseconds=21 * attempts
            )
        made.append(delivery)
    gone = owe("https://gone.example.com/").endpoint
    WebhookEndpoint.objects.filter(pk=gone.pk).update(disabled_at=timezone.now(), is_gone=True)
    return made


def test_nobody_meets_a_barrier(page, home, olivia, owe):
    with well_behaved(page, home):
        page.goto(f"{home}/webhooks/")
        expect(page.get_by_text("No job of yours had a webhook yet")).to_be_visible()
        assert_no_barriers(page)
        signing.rotate(olivia, by=olivia)
        one_of_each(owe)
        page.goto(f"{home}/webhooks/")
        for summary in page.locator("main details > summary").all():
            summary.click()
        assert_no_barriers(page)
        page.get_by_role("link", name="Rotate").click()
        assert_no_barriers(page)
        page.get_by_role("button", name="Rotate").click()
        is_it_you(page)
        expect(page.get_by_role("heading", name="Your new signing secret")).to_be_visible()
        assert_no_barriers(page)


def test_the_secret_is_copied_and_left_without_a_question(context, page, home, olivia, secret):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{home}/webhooks/")
    page.get_by_role("button", name="Show it").click()
    is_it_you(page)
    expect(page.get_by_text(secret)).to_be_visible()
    page.get_by_role("link", name="Back to webhooks").click()
    page.get_by_role("button", name="Show it").click()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied", exact=True)).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret


def test_all_of_it_works_without_scripts(browser: Browser, signed_in, live_server, olivia, owe):
    context = browser.new_context(java_script_enabled=False)
    signed_in(context)
    page = context.new_page()
    one_of_each(owe)
    page.goto(f"{live_server.url}/usage/")
    page.locator("summary", has_text="olivia@example.com").click()
    page.get_by_role("link", name="Webhooks").click()
    page.get_by_role("button", name="Send again").first.click()
    expect(page.get_by_text("is sent again now, under the same webhook-id")).to_be_visible()
    page.get_by_role("button", name="Disable").first.click()
    expect(page.get_by_text("Disabled: nothing is sent")).to_be_visible()
    page.get_by_role("button", name="Enable").first.click()
    expect(page.get_by_text("gets what happens from now on")).to_be_visible()
    page.get_by_role("button", name="Make and show it").click()
    is_it_you(page)
    expect(page.get_by_role("heading", name="Your signing secret")).to_be_visible()
    expect(page.get_by_role("textbox", name="The whole secret")).to_contain_text("whsec_")
    context.close()
