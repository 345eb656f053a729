"""The docs in a real browser: at both widths, light and dark, by keyboard and without scripts."""

from dataclasses import replace

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from images.docs import reference
from images.docs.pages import PAGES
from tests.browser import DESKTOP, PHONE, assert_no_barriers, is_wider_than_its_window, well_behaved

pytestmark = [
    pytest.mark.browser,
    pytest.mark.once,
    pytest.mark.django_db(transaction=True),
]


@pytest.mark.parametrize("one", PAGES[:-1], ids=[one.name for one in PAGES[:-1]])
def test_axe_finds_nothing(page, live_server, one):
    with well_behaved(page, live_server.url):
        page.goto(live_server.url + reverse(one.name))
        assert_no_barriers(page)


def test_axe_finds_nothing_in_the_reference(page, live_server, monkeypatch):
    """With some of each: axe takes as many seconds for all of it as for all other pages together."""
    with well_behaved(page, live_server.url):
        for window in (PHONE, DESKTOP):
            page.set_viewport_size(window)
            page.goto(f"{live_server.url}/docs/api/")
            assert not is_wider_than_its_window(page)
        in_force = reference.in_force()
        some = replace(
            in_force,
            groups=[replace(group, operations=group.operations[:1]) for group in in_force.groups[:2]],
            answers=in_force.answers[:2],
            schemas=in_force.schemas[:2],
        )
        monkeypatch.setattr(reference, "in_force", lambda: some)
        page.goto(f"{live_server.url}/docs/api/")
        page.get_by_text("(application/json)").first.click()
        assert_no_barriers(page)


def test_an_example_is_copied_as_it_is(page, context, live_server, client):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    with well_behaved(page, live_server.url):
        page.goto(f"{live_server.url}/docs/examples/#python")
        page.get_by_role("button", name="Copy convert.py").click()
        expect(page.locator("#copied")).to_have_text("Copied to the clipboard.")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == client.get("/docs/examples/convert.py").content.decode()
        # Nothing of it is secret: nobody asks whether one really wants to leave.
        page.goto(f"{live_server.url}/docs/")


def test_everything_is_there_without_scripts(browser, live_server):
    context = browser.new_context(java_script_enabled=False, viewport=PHONE)
    page = context.new_page()
    page.goto(f"{live_server.url}/docs/")
    page.get_by_label("Docs", exact=True).get_by_role("link", name="Examples").click()
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    page.get_by_role("link", name="PowerShell").last.click()
    expect(page.locator("#powershell")).to_be_in_viewport()
    page.get_by_label("Docs", exact=True).get_by_role("link", name="Refusals").click()
    body = page.locator("#blocked-problem")
    expect(body).to_be_hidden()
    page.locator("details:has(#blocked-problem) > summary").click()
    expect(body).to_be_visible()
    context.close()


def test_what_is_wide_is_scrolled_within_itself_by_keyboard(page, live_server):
    page.set_viewport_size(PHONE)
    page.goto(f"{live_server.url}/docs/limits/")
    assert not is_wider_than_its_window(page)
    table = page.get_by_role("group", name="The tiers and their limits")
    table.focus()
    page.keyboard.press("ArrowRight")
    for _ in range(100):
        if table.evaluate("table => table.scrollLeft") > 0:
            return
        page.wait_for_timeout(20)
    pytest.fail("it stays where it is")
