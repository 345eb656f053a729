"""Keys in a real browser: copying, leaving, double clicks; by keyboard and without scripts."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Error, Page, expect

from accounts import api_keys
from accounts.keys import actions
from accounts.keys.facts import KeyFacts
from accounts.models import ApiKey, KeySecret
from tests.browser import assert_no_barriers, well_behaved

pytestmark = [
    pytest.mark.browser,
    pytest.mark.once,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("valkey"),
]


@pytest.fixture
def signed_in(client, owner, live_server):
    """Gives a browser's context the owner's session."""

    def give(context):
        client.force_login(owner)
        session = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])

    return give


@pytest.fixture
def home(context, signed_in, live_server):
    signed_in(context)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    return live_server.url


@pytest.fixture
def asked(page):
    """The questions the page asked before it was left; all are answered with staying."""
    questions = []

    def stay(dialog):
        questions.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    return questions


def create(page: Page, home: str, name: str = "website") -> None:
    page.goto(f"{home}/keys/new/")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create the key").click()
    expect(page.get_by_role("heading", name="Copy your new key now")).to_be_visible()


def clipboard(page: Page) -> str:
    return page.evaluate("navigator.clipboard.readText()")


def test_a_key_is_created_copied_and_not_seen_again(page, home, asked):
    with well_behaved(page, home):
        page.goto(f"{home}/keys/")
        assert_no_barriers(page)
        page.get_by_role("link", name="Create your first key").click()
        page.get_by_label("Name").fill("website")
        page.get_by_label("In 90 days").check()
        page.get_by_role("button", name="Create the key").click()
        page.get_by_role("button", name="Copy").first.click()
        expect(page.locator("#copied")).to_have_text("Copied to the clipboard.")
        text = clipboard(page)
        assert api_keys.find(text) == ApiKey.objects.get()
        page.get_by_role("button", name="Copy").last.click()
        expect(page.get_by_role("button", name="Copied")).to_have_count(2)
        assert clipboard(page).startswith(f'curl -H "Authorization: Bearer {text}" ')
        page.get_by_role("link", name="I have copied it").click()
        expect(page.get_by_role("heading", name="website")).to_be_visible()
        assert text not in page.content()
    assert asked == []


def test_leaving_with_the_secret_uncopied_asks_first(page, home, asked):
    create(page, home)
    page.get_by_role("heading", name="Copy your new key now").click()  # a page nobody touched may not ask
    with pytest.raises(Error):
        page.goto(f"{home}/keys/", timeout=2_000)
    assert asked == ["beforeunload"]
    expect(page.locator("#secret")).to_be_visible()
    page.locator("#secret").click()  # selects all of it
    page.keyboard.press("Control+C")
    assert api_keys.find(clipboard(page)) is not None
    page.goto(f"{home}/keys/")
    assert asked == ["beforeunload"]


def test_a_double_click_makes_one_key_and_shows_its_secret(page, home):
    page.goto(f"{home}/keys/new/")
    page.get_by_label("Name").fill("website")
    page.get_by_role("button", name="Create the key").dblclick()
    expect(page.locator("#secret")).to_be_visible()
    assert ApiKey.objects.count() == 1
    page.get_by_role("button", name="Copy").first.click()
    page.goto(f"{home}/keys/{ApiKey.objects.get().pk}/rotate/")
    page.get_by_role("button", name="Rotate").dblclick()
    expect(page.locator("#secret")).to_be_visible()
    assert KeySecret.objects.count() == 2


def test_a_time_is_asked_for_only_where_one_is_wanted(page, home, issue):
    key, _ = issue(expires_at=timezone.now() + timedelta(days=9))
    page.goto(f"{home}/keys/{key.pk}/")
    at = page.get_by_label("Date and time, in UTC")
    expect(at).to_have_value(f"{key.expires_at:%Y-%m-%dT%H:%M}")
    page.get_by_label("In 30 days").check()
    expect(at).to_be_hidden()
    page.get_by_label("At a time of mine").check()
    expect(at).to_be_focused()
    expect(at).to_have_value(f"{key.expires_at:%Y-%m-%dT%H:%M}")
    page.get_by_label("Never").check()
    page.get_by_role("button", name="Save the end").click()
    expect(page.get_by_text("It never expires.")).to_be_visible()


def test_revoking_begins_with_the_way_back(page, home, issue):
    key, _ = issue()
    page.goto(f"{home}/keys/")
    page.locator("summary[aria-label='What to do with prod']").focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Revoke").press("Enter")
    expect(page.get_by_role("link", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{home}/keys/{key.pk}/")
    assert ApiKey.objects.get().status == "active"


@pytest.fixture
def keys_of_every_kind(owner, issue, known):
    now = timezone.now()

    def make(name, facts=None, **fields):
        key, _ = issue(name=name, **fields)
        key.secrets.update(last_used_at=now - timedelta(minutes=7))
        if facts is not None:
            known[key.pk] = facts
        return key

    make("revoked", status="revoked")
    make("suspended", KeyFacts("Suspended", None, 12, 1000), status="suspended")
    make("expired", KeyFacts("Clear", None, 0, 1000), expires_at=now - timedelta(days=3))
    make("blocked", KeyFacts("Temporary block", now + timedelta(minutes=42), 940, 1000))
    make("expiring", KeyFacts("Clear", None, 1000, 1000), expires_at=now + timedelta(days=5))
    make("unknown")
    make("active", KeyFacts("Clear", None, 5_123_456, None))
    rotating = make("rotating with-a-very-long-word-" + "x" * 69, KeyFacts("Clear", None, 512, 1000))
    for overlap in (timedelta(days=1), timedelta(days=7)):
        actions.rotate(rotating, by=owner, revision=None, overlap=overlap)
    oldest = rotating.secrets.last()
    actions.end_overlap(rotating, by=owner, revision=None, secret_id=oldest.pk)
    networks = ["10.0.0.0/8", "2001:db8:1234:5678:9abc:def0:1234:5678"]
    actions.change_allow_list(rotating, by=owner, revision=None, allowed_networks=networks)
    return {key.name.partition(" ")[0]: key.pk for key in ApiKey.objects.all()}


def test_axe_finds_nothing(page, home, keys_of_every_kind, settings):
    rotating = keys_of_every_kind["rotating"]
    with well_behaved(page, home):
        page.goto(f"{home}/keys/")
        page.get_by_text("Revoked (1)").click()
        page.locator("summary[aria-label='What to do with active']").click()
        assert_no_barriers(page)
        page.goto(f"{home}/keys/{rotating}/")
        page.get_by_text("Stop it now").click()
        page.get_by_text("Rotated out (1)").click()
        assert_no_barriers(page)
        for path in (f"{keys_of_every_kind['revoked']}/", f"{rotating}/rotate/", f"{rotating}/revoke/"):
            page.goto(f"{home}/keys/{path}")
            assert_no_barriers(page)
        page.goto(f"{home}/keys/new/")
        page.get_by_text("Allow-list").click()
        page.get_by_label("Networks it may be used from").fill("10.0.0.1/8")
        page.get_by_role("button", name="Create the key").click()
        expect(page.get_by_text("did you mean 10.0.0.0/8")).to_be_visible()
        assert_no_barriers(page)
        page.get_by_label("Name").fill("x" * 100)
        page.get_by_label("Networks it may be used from").fill("10.0.0.0/8")
        page.get_by_role("button", name="Create the key").click()
        assert_no_barriers(page)
        settings.KEYS_PER_ACCOUNT = 1
        page.goto(f"{home}/keys/new/")
        expect(page.get_by_role("link", name="Back to your keys")).to_be_visible()
        assert_no_barriers(page)


def test_everything_works_without_scripts(browser, signed_in, live_server, owner):
    context = browser.new_context(java_script_enabled=False)
    signed_in(context)
    page = context.new_page()
    create(page, live_server.url)
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    first = page.locator("#secret").inner_text()
    page.get_by_role("link", name="I have copied it").click()
    key = ApiKey.objects.get()
    assert api_keys.find(first) == key

    page.get_by_label("Name").fill("nightly import")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_text("It is called “nightly import” now.")).to_be_visible()
    ends = timezone.now() + timedelta(days=60)
    page.get_by_label("At a time of mine").check()
    page.get_by_label("Date and time, in UTC").fill(f"{ends:%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Save the end").click()
    expect(page.get_by_text(f"It expires on {ends:%Y-%m-%d at %H:%M} UTC.")).to_be_visible()
    page.get_by_label("Networks it may be used from").fill("127.0.0.1")
    page.get_by_role("button", name="Save the allow-list").click()
    expect(page.get_by_text("It may be used from 1 network, and no other.")).to_be_visible()

    page.get_by_role("link", name="Rotate").click()
    page.get_by_label("1 hour").check()
    page.get_by_role("button", name="Rotate").click()
    assert page.locator("#secret").inner_text() != first
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_text("Stop it now").click()
    page.get_by_role("button", name="Stop koala_").click()
    expect(page.get_by_text("has stopped.")).to_be_visible()
    assert api_keys.find_secret(first).is_rotated_out

    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_text("It is refused, for good")).to_be_visible()
    assert ApiKey.objects.get().status == "revoked"
    page.get_by_role("link", name="API keys").first.click()
    page.get_by_text("Revoked (1)").click()
    expect(page.get_by_role("link", name="nightly import")).to_be_visible()
    context.close()
