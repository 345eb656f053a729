"""A supporter finds a key and helps its owner, with a keyboard alone, in a real browser."""

import pytest
import requests
from playwright.sync_api import Page, expect

from accounts.models import AuditEntry
from tests.accounts.conftest import PASSWORD, a_supporter
from tests.browser import assert_no_barriers, well_behaved
from usage.limits.store import limit_store
from usage.subjects import of_key

pytestmark = [pytest.mark.browser, pytest.mark.once, pytest.mark.django_db(transaction=True)]

__all__ = ["a_supporter"]


@pytest.fixture(autouse=True)
def _clock(driven_clock):
    return driven_clock


def press_until_at(page: Page, words: str) -> None:
    """Tab on until the control with these words has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.innerText || document.activeElement.value || ''")
        if focused.strip() == words:
            return
    raise AssertionError(f"no way to “{words}” by Tab")


def test_a_limited_key_is_found_and_reset_by_keyboard(page, live_server, a_supporter, issue):
    key, text = issue(minute_override=5, concurrent_override=2)
    a_supporter.person.vouch_for_address()
    limit_store().decide(of_key(key), "convert", "abcdef0123456789")

    def call():
        address = f"{live_server.url}/api/v1/convert"
        return requests.post(address, headers={"X-Api-Key": text}, timeout=10).status_code

    assert [call() for _ in range(5)][-1] == 429
    page.clock.install()
    with well_behaved(page, live_server.url):
        page.goto(f"{live_server.url}/staff/subjects/")
        page.get_by_label("Email address").fill("sue@example.com")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Subjects")).to_be_visible()
        page.get_by_role("searchbox").focus()
        page.keyboard.insert_text(text)
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{live_server.url}/staff/subjects/?q={key.start}")
        assert_no_barriers(page)
        press_until_at(page, "prod")
        page.keyboard.press("Enter")
        limits = page.get_by_role("region", name="Effective limits")
        expect(limits.get_by_role("row", name="This minute")).to_contain_text("used up")
        assert_no_barriers(page)
        press_until_at(page, "Reset counters")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Reset counters")).to_be_visible()
        page.get_by_label("Requests of this minute (5 used)").focus()
        page.keyboard.press("Space")
        page.get_by_label("Reason").focus()
        page.keyboard.insert_text("Our own test hit them")
        assert_no_barriers(page)
        press_until_at(page, "Reset")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").first).to_contain_text("Reset: the minute.")
        expect(limits.get_by_role("row", name="This minute")).not_to_contain_text("used up")
        call()
        page.clock.run_for(3_000)
        expect(limits.get_by_role("row", name="This minute").get_by_role("cell").nth(2)).to_have_text("1")
    assert AuditEntry.objects.get().reason == "Our own test hit them"
