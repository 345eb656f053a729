"""The page over an endpoint limit in a real browser."""

import pytest
from playwright.sync_api import expect

from accounts.endpoint_limits import limiter
from accounts.models import EndpointLimit
from tests.browser import assert_no_barriers

pytestmark = [
    pytest.mark.browser,
    pytest.mark.once,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("valkey"),
]


def test_the_page_counts_the_wait_down_and_leads_back_to_the_form(page, live_server):
    EndpointLimit.objects.filter(name="login").update(requests=1, seconds=86_400)
    limiter.forget()
    page.clock.install()
    for _ in range(2):
        page.goto(f"{live_server.url}/accounts/login/?next=/usage/")
        page.get_by_label("Email address").fill("ada@example.com")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Too many sign-in attempts")).to_be_visible()
    wait = page.locator("[data-countdown]")
    told = wait.inner_text()
    page.clock.run_for(2_000)
    expect(wait).not_to_have_text(told)
    page.clock.run_for(86_400_000)
    expect(wait).to_have_text("now")
    assert_no_barriers(page)
    page.get_by_role("link", name="Back to the form").click()
    expect(page).to_have_url(f"{live_server.url}/accounts/login/?next=/usage/")
