"""The page about jobs in a browser: it follows what happens, works without scripts, and axe finds nothing."""

import pytest
from playwright.sync_api import Browser, expect

from images.models import Job
from tests.browser import assert_no_barriers, well_behaved

pytestmark = [
    pytest.mark.browser,
    pytest.mark.once,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("valkey"),
]


@pytest.fixture
def sign_in(client, olivia, live_server):
    def give(context):
        client.force_login(olivia)
        session = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])

    return give


def test_it_follows_what_happens_and_nobody_meets_a_barrier(context, page, sign_in, live_server, key, given):
    sign_in(context)
    with well_behaved(page, live_server.url):
        page.goto(f"{live_server.url}/jobs/")
        expect(page.get_by_text("No job yet")).to_be_visible()
        assert_no_barriers(page)
        job = given("running", progress=40)
        expect(page.locator("code", has_text=job.pk)).to_be_visible()
        given("queued"), given("done"), given("failed"), given("cancelled")
        expect(page.get_by_role("link", name="Download")).to_be_visible()
        assert_no_barriers(page)
        Job.objects.filter(pk=job.pk).update(progress=90)
        expect(page.get_by_text("90 %")).to_be_visible()
        page.get_by_role("button", name=f"Cancel {job.pk}").click()
        expect(page.get_by_text(f"Cancelled: {job.pk}")).to_be_visible()
        page.get_by_role("link", name="Failed").click()
        expect(page.get_by_role("heading", name="Failed")).to_be_visible()


def test_all_of_it_works_without_scripts(browser: Browser, sign_in, live_server, key, given):
    job = given("queued")
    context = browser.new_context(java_script_enabled=False)
    sign_in(context)
    page = context.new_page()
    page.goto(live_server.url)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Jobs").click()
    page.get_by_role("button", name=f"Cancel {job.pk}").click()
    expect(page.get_by_text(f"Cancelled: {job.pk}")).to_be_visible()
    expect(page.get_by_text("Reload the page to see what has changed.")).to_be_visible()
    context.close()
