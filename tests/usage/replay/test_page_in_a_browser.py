"""A replay that somebody looks at while it runs, in a real browser."""

from datetime import UTC, datetime

import pytest
from django.conf import settings
from playwright.sync_api import expect

from tests.accounts.conftest import a_limits_editor
from tests.browser import assert_no_barriers, well_behaved
from usage.models import Replay
from usage.replay import running
from usage.subjects import key_subject_id

pytestmark = [pytest.mark.browser, pytest.mark.once, pytest.mark.django_db(transaction=True)]

__all__ = ["a_limits_editor"]
NOW = datetime(2026, 3, 8, 15, 30, tzinfo=UTC)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def signed_in(page, live_server, a_limits_editor):
    session = a_limits_editor.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}]
    )
    return page


def test_it_is_followed_until_it_is_done_and_then_left_alone(
    signed_in, live_server, issue, record, owner, monkeypatch
):
    page = signed_in
    monkeypatch.setattr(running, "wake_worker", lambda: None)
    record(key_subject_id(issue()[0].pk), MONDAY, minutes=5, admitted=30)
    asked = running.start("tier", "free", {"minute": 30, "day": None}, {"minute": 20, "day": None}, owner)
    fetched = []
    page.on("request", lambda request: fetched.append(request) if "hx-request" in request.headers else None)
    page.clock.install()
    with well_behaved(page, live_server.url):
        page.goto(f"{live_server.url}/staff/replays/{asked.pk}/")
        expect(page.get_by_role("heading", name="The replay waits for the worker")).to_be_visible()
        Replay.objects.update(status=Replay.Status.RUNNING, progress=42)
        page.clock.run_for(1_000)
        expect(page.get_by_role("progressbar")).to_have_attribute("value", "42")
        assert_no_barriers(page)

        Replay.objects.update(status=Replay.Status.WAITING)
        running.run_next(NOW)
        page.clock.run_for(1_000)
        expect(page.get_by_text("With 20 a minute, 1 of 1 key would have been limited")).to_have_count(2)
        expect(page.get_by_role("status")).to_contain_text("The replay is done.")
        expect(page.locator(".kp-replay time").first).not_to_contain_text("UTC")  # in the viewer's zone
        assert_no_barriers(page)

        before = len(fetched)
        page.clock.run_for(5_000)
        assert len(fetched) == before
