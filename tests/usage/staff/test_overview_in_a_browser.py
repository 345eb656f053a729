"""The overview and the audit log in a real browser: what refreshes itself, what is found again."""

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts import audit
from accounts.models import Tier, User
from tests.accounts.conftest import browser_of
from tests.browser import assert_no_barriers, well_behaved
from usage.models import HitTotal, UsageTotal
from usage.spans import hour_start

pytestmark = [
    pytest.mark.browser,
    pytest.mark.once,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("valkey"),
]


@pytest.fixture
def page(context, live_server):
    """A superuser's."""
    client = browser_of(User.objects.create_superuser("root@example.com", "correct horse battery"))
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    return context.new_page()


def test_the_overview_follows_the_totals_and_the_audit_log_is_filtered(page, live_server):
    hour = hour_start(timezone.now())
    UsageTotal.objects.create(start=hour, tier="free", admitted=1200, minute_hits=30)
    HitTotal.objects.create(start=hour, kind="minute", count=30)
    page.clock.install()
    with well_behaved(page, live_server.url):
        page.goto(f"{live_server.url}/staff/")
        expect(page.get_by_role("img", name="Requests by tier")).to_be_visible()
        tile = page.locator(".kp-tile", has_text="Requests served")
        expect(tile).to_contain_text("1,200")
        assert_no_barriers(page)

        UsageTotal.objects.update(admitted=1300)
        page.clock.run_for(11_000)
        expect(tile).to_contain_text("1,300")
        page.get_by_role("link", name="30 days").click()
        expect(page.get_by_role("link", name="30 days")).to_have_attribute("aria-current", "true")
        page.get_by_text("The same as a table").click()
        expect(page.get_by_role("cell", name="1,300")).to_be_visible()

        free = Tier.objects.get(slug="free")
        audit.record("changed", free, by=None, before={"minute": 30}, after={"minute": 20}, reason="Fair.")
        audit.record("renamed", free, by=None, before={"name": "Fre"}, after={"name": "Free"})
        page.goto(f"{live_server.url}/staff/audit/")
        assert_no_barriers(page)
        page.set_viewport_size({"width": 390, "height": 844})
        expect(page.get_by_role("link", name="Audit", exact=True)).to_be_in_viewport()
        page.get_by_label("Did what").select_option("renamed")
        page.get_by_role("button", name="Filter").click()
        expect(page.get_by_role("listitem").filter(has_text="Renamed")).to_be_visible()
        expect(page.get_by_text("Fair.")).not_to_be_visible()
        page.get_by_role("link", name="All that was done to Free").click()
        expect(page.get_by_text("Only what was done to tier Free.")).to_be_visible()
        expect(page.get_by_text("Fair.")).to_be_visible()
