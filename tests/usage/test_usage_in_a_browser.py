"""Sign-in and the usage page in a real browser, with numbers that real decisions of the API made."""

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser import assert_no_barriers, well_behaved
from tests.usage.escalation.customer import Customer
from usage.escalation import reactivation
from usage.escalation.following import follow_changes
from usage.limits.store import limit_store

pytestmark = [pytest.mark.browser, pytest.mark.once, pytest.mark.django_db(transaction=True)]

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _clock(driven_clock):
    driven_clock.set("2026-03-01T12:00:30")
    return driven_clock


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args):
    return {**browser_context_args, "timezone_id": "Asia/Kolkata", "locale": "en-GB"}


@pytest.fixture
def call(live_server):
    """Makes `times` requests to the API over the wire."""

    def make(text, times):
        answers = [
            requests.post(f"{live_server.url}/api/v1/convert", headers={"X-Api-Key": text}, timeout=10)
            for _ in range(times)
        ]
        return [answer.status_code for answer in answers]

    return make


def sign_in(page: Page, home: str) -> None:
    page.goto(f"{home}/")
    page.get_by_label("Email address").fill("olivia@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{home}/")


def quota(page: Page, title: str):
    return page.locator(".kp-quota", has=page.get_by_role("heading", name=title))


def test_the_page_follows_what_the_api_decides(page, live_server, issue, call):
    _, text = issue()
    page.clock.install()
    with well_behaved(page, live_server.url):
        sign_in(page, live_server.url)
        expect(page.get_by_text("All clear.")).to_be_visible()
        expect(page.get_by_text("Reload the page for newer numbers.")).to_be_hidden()
        expect(quota(page, "Requests today")).to_contain_text("0 of 1,000")

        assert call(text, 32).count(429) == 2
        page.clock.run_for(3_000)

        expect(quota(page, "Requests today")).to_contain_text("30 of 1,000")
        expect(quota(page, "This minute")).to_contain_text("30 of 30")
        expect(quota(page, "This minute")).to_contain_text("Used up")
        expect(quota(page, "This minute").get_by_role("progressbar")).to_have_attribute("value", "100")
        expect(page.get_by_role("row", name="convert Minute limit 2")).to_be_visible()
        expect(page.locator(".kp-hits-number")).to_have_text("2")
        said = page.locator("#announcement")
        expect(said).to_contain_text("Limit reached: this minute's requests are used up.")


def test_a_block_shows_without_a_reload_and_so_does_its_end(page, live_server, issue, call, driven_clock):
    _, text = issue(minute_override=10)
    page.clock.install()
    with well_behaved(page, live_server.url):
        sign_in(page, live_server.url)
        ladder = page.get_by_role("region", name="Escalation")
        here = ladder.locator("[aria-current=step]")
        expect(here).to_contain_text("Clear you are here")
        ladder.get_by_text("What is a strike?").click()
        for _ in range(3):
            call(text, 20)
            driven_clock.advance(60)
        assert call(text, 1) == [429]
        follow_changes(limit_store())
        page.clock.run_for(3_000)
        expect(page.locator(".kp-strip")).to_contain_text("Key prod is cooling down until 17:38")  # 12:08 UTC
        expect(here).to_contain_text("Extended cooldown you are here")
        expect(here).to_contain_text("20 requests in one minute, limit 10; third strike.")
        expect(here).to_contain_text("2 strikes lead to a Temporary block of 1 hour.")
        expect(ladder.get_by_text("every 10 clean minutes forgive one")).to_be_visible()
        expect(page.get_by_role("region", name="History")).to_contain_text("Cooldown of 5 minutes")
        expect(page.get_by_role("row", name="convert Cooldown 1")).to_be_visible()
        said = "Key prod is cooling down until 17:38. Requests that count are refused."
        expect(page.locator("#announcement")).to_contain_text(said)  # no countdown
        driven_clock.advance(300)
        page.clock.run_for(3_000)
        expect(page.locator(".kp-strip")).to_contain_text("Warned: the block is over")
        expect(here).to_contain_text("only the tier is remembered")


DRAWN = "Chart.getChart(document.querySelector('.kp-canvas canvas')).data"


def test_the_chart_follows_its_span_and_its_colours_without_a_reload(page, live_server, issue, call):
    key, text = issue(minute_override=4)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.clock.install()
    chart = page.get_by_role("region", name="Requests over time")
    spans = chart.get_by_role("navigation", name="How far back")

    def newest():
        return page.evaluate(f"{DRAWN}.datasets.map((one) => one.data.at(-1))")

    with well_behaved(page, live_server.url):
        sign_in(page, live_server.url)
        bars = chart.get_by_role("img", name="Requests over time 0 served 0 refused limit: 4 a minute")
        expect(bars).to_be_visible()
        expect(chart.get_by_text("No request was counted")).to_be_hidden()
        page.evaluate("window.kept = document.querySelector('.kp-canvas canvas')")

        call(text, 6)
        page.clock.run_for(3_000)
        expect(chart).to_contain_text("4 served 2 refused")
        assert newest() == [4, 2, 4]
        chart.get_by_text("The same as a table").click()
        expect(chart.get_by_role("row", name="17:30 4 2")).to_be_visible()  # 12:00 UTC

        spans.get_by_role("link", name="24 hours").click()
        expect(page).to_have_url(f"{live_server.url}/?key={key.start}&span=day")
        expect(chart.get_by_role("columnheader", name="Hour")).to_be_visible()
        assert newest() == [4, 2]
        month = spans.get_by_role("link", name="30 days")
        month.focus()
        page.keyboard.press("Enter")
        expect(chart.get_by_role("row", name="1 Mar 4 2")).to_be_visible()  # a UTC day, in every zone
        expect(month).to_have_attribute("aria-current", "true")
        expect(spans.locator("[aria-current]")).to_have_count(1)
        expect(month).to_be_focused()
        call(text, 1)
        page.clock.run_for(3_000)
        expect(chart).to_contain_text("4 served 3 refused")
        assert page.evaluate(f"{DRAWN}.labels.length") == 30
        expect(page).to_have_url(f"{live_server.url}/?key={key.start}&span=month")
        assert page.evaluate("window.kept.isConnected"), "the same canvas all along"

        light = page.evaluate(f"{DRAWN}.datasets[0].backgroundColor")
        page.get_by_role("button", name="Dark").click()
        page.wait_for_function(f"{DRAWN}.datasets[0].backgroundColor !== '{light}'")
        page.get_by_role("button", name="As the system says").click()
        page.wait_for_function(f"{DRAWN}.datasets[0].backgroundColor === '{light}'")
        assert_no_barriers(page)


def test_where_the_chart_cannot_be_drawn_the_table_is_open(page, live_server, issue, call):
    _, text = issue()
    call(text, 2)
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    page.route("**/chart.umd*", lambda route: route.abort())
    page.clock.install()
    sign_in(page, live_server.url)
    expect(page.get_by_role("row", name="17:30 2 0")).to_be_visible()
    expect(page.locator(".kp-canvas")).to_be_hidden()
    call(text, 1)
    page.clock.run_for(3_000)
    expect(page.get_by_role("row", name="17:30 3 0")).to_be_visible()
    assert not errors


def test_times_are_in_the_viewers_zone_and_count_down(page, live_server, issue):
    issue()
    page.clock.install()
    sign_in(page, live_server.url)
    minute = quota(page, "This minute")
    expect(minute.locator("time")).to_have_text("17:31")  # 12:01 UTC
    expect(page.get_by_text("Times are in Asia/")).to_be_visible()
    before = int(minute.locator("[data-countdown]").inner_text().split()[1])
    assert 0 < before <= 30
    page.clock.run_for(2_000)
    expect(minute.locator("[data-countdown]")).to_have_text(f"in {before - 2}\u00a0s")


def test_it_asks_nothing_while_nobody_looks(page, live_server, issue):
    issue()
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/usage/live/" in request.url else None)
    page.clock.install()
    sign_in(page, live_server.url)
    with page.expect_response("**/usage/live/**"):
        page.clock.run_for(3_000)
    page.evaluate("Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("Paused")).to_be_visible()
    before = len(asked)
    page.clock.run_for(30_000)
    assert len(asked) == before
    page.evaluate("delete document.visibilityState")
    with page.expect_response("**/usage/live/**"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


def test_what_was_opened_stays_open_and_keeps_the_focus(page, live_server, issue, call):
    _, text = issue()
    page.clock.install()
    sign_in(page, live_server.url)
    quota(page, "Requests today").get_by_text("Why this limit?").click()
    expect(page.get_by_text("requests per UTC day: Free tier.")).to_be_visible()
    call(text, 1)
    page.clock.run_for(3_000)
    expect(quota(page, "Requests today")).to_contain_text("1 of 1,000")
    expect(page.get_by_text("requests per UTC day: Free tier.")).to_be_visible()
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_signed_out_elsewhere_the_page_becomes_the_sign_in(page, live_server, issue, context):
    issue()
    page.clock.install()
    sign_in(page, live_server.url)
    context.clear_cookies()
    page.clock.run_for(3_000)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_axe_finds_nothing(page, live_server, issue, call):
    _, text = issue()
    issue(minute_override=10)
    with well_behaved(page, live_server.url):
        for path in ("login", "signup", "password/reset"):
            page.goto(f"{live_server.url}/accounts/{path}/")
            assert_no_barriers(page)
        sign_in(page, live_server.url)
        assert call(text, 33).count(429) == 3
        for path in (
            "",
            "?key=" + text[:12],
            "accounts/password/change/",
            "accounts/email/",
            "accounts/logout/",
        ):
            page.goto(f"{live_server.url}/{path}")
            assert_no_barriers(page)
        page.goto(live_server.url)
        page.get_by_text("Choose a key").click()
        quota(page, "Requests today").get_by_text("Why this limit?").focus()
        page.locator("summary[aria-label^=Account]").click()
        assert_no_barriers(page)


def test_axe_finds_nothing_on_any_step_of_the_ladder(page, live_server, issue, driven_clock):
    sign_in(page, live_server.url)
    for tier, title in ((2, "is cooling down"), (4, "is blocked"), (5, "is suspended")):
        key, text = issue(minute_override=10, day_override=100_000)
        Customer(text, driven_clock).climbs_to(tier)
        follow_changes(limit_store())
        page.goto(live_server.url + "?key=" + key.start)
        expect(page.locator(".kp-strip")).to_contain_text(title)
        page.get_by_text("What is a strike?").click()
        assert_no_barriers(page)
    reactivation.reactivate(key, by=None, reason="It waits as told now, whatever a very" + "-long" * 40)
    page.reload()
    expect(page.locator(".kp-strip")).to_contain_text("On probation:")
    assert_no_barriers(page)


def test_everything_can_be_reached_by_keyboard(page, live_server, issue):
    issue()
    sign_in(page, live_server.url)
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    expect(page.get_by_text("Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    menu = page.locator("summary[aria-label^=Account]")
    menu.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    expect(menu).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Sign out").press("Enter")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_chosen_colours_stay_chosen(page, live_server):
    page.emulate_media(color_scheme="light")
    page.goto(f"{live_server.url}/accounts/login/")
    scheme = "getComputedStyle(document.documentElement).colorScheme"
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(scheme) == "dark"
    page.reload()
    assert page.evaluate(scheme) == "dark"
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="As the system says").click()
    assert page.evaluate(scheme) == "light dark"


def test_without_scripts_the_page_says_the_same(browser, live_server, issue, call, owner):
    _, text = issue()
    call(text, 32)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, live_server.url)
    expect(quota(page, "This minute")).to_contain_text("30 of 30")
    expect(quota(page, "This minute")).to_contain_text("resets 12:01 UTC")
    expect(page.get_by_text("Reload the page for newer numbers.")).to_be_visible()
    expect(page.get_by_role("row", name="12:00 UTC 30 2")).to_be_visible()
    page.get_by_role("link", name="30 days").click()
    expect(page.get_by_role("row", name="1 Mar 30 2")).to_be_visible()
    page.locator("summary[aria-label^=Account]").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()
