"""The chart of requests over time: it agrees with the quotas beside it, before and after booking."""

import json
import re

import pytest
import time_machine

from tests.usage.test_usage_page import read
from usage.books.booking import book_closed_minutes
from usage.guard.local_hits import local_hits
from usage.limits.store import limit_store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _clock(driven_clock):
    driven_clock.set("2026-03-01T12:00:30")
    return driven_clock


@pytest.fixture
def call(client):
    """Makes `times` real requests to the API with a key."""

    def make(text, times=1):
        return [client.post("/api/v1/convert", headers={"X-Api-Key": text}) for _ in range(times)]

    return make


def drawn(response):
    """What the script draws."""
    data = re.search(r'<script id="chart-data"[^>]*>(.*?)</script>', response.content.decode(), re.DOTALL)
    return json.loads(data[1])


def sums(chart):
    return [sum(stack["values"]) for stack in chart["stacks"]]


def test_it_agrees_with_the_quotas_before_and_after_booking(signed_in, issue, call, driven_clock):
    _, text = issue(minute_override=4)
    for _ in range(2):
        call(text, 6)
        driven_clock.advance(60)
    call(text, 3)
    pages = {span: signed_in.get("/", {"span": span}) for span in ("hour", "day", "month")}
    for response in pages.values():
        assert "Requests today 11 of 1,000" in read(response)
        assert "11 served 4 refused" in read(response)
        assert sums(drawn(response)) == [11, 4]
    assert [stack["values"][-3:] for stack in drawn(pages["hour"])["stacks"]] == [[4, 4, 3], [2, 2, 0]]
    book_closed_minutes(limit_store())
    for span, response in pages.items():
        assert drawn(signed_in.get("/", {"span": span})) == drawn(response)


def test_each_span_has_its_points_and_its_limit(signed_in, issue):
    issue(minute_override=7)
    spans = {span: drawn(signed_in.get("/", {"span": span})) for span in ("hour", "day", "month")}
    assert {span: (chart["unit"], len(chart["starts"])) for span, chart in spans.items()} == {
        "hour": ("minute", 60),
        "day": ("hour", 24),
        "month": ("day", 30),
    }
    assert [chart["starts"][-1] for chart in spans.values()] == [
        "2026-03-01T12:00:00+00:00",
        "2026-03-01T12:00:00+00:00",
        "2026-03-01T00:00:00+00:00",
    ]
    assert [chart["line"] for chart in spans.values()] == [
        {"name": "Limit: 7 a minute", "value": 7},
        None,
        {"name": "Limit: 1,000 a day", "value": 1000},
    ]


def test_a_limit_far_above_is_told_and_not_drawn(signed_in, issue, call):
    _, text = issue(minute_override=19)
    call(text, 3)
    response = signed_in.get("/")
    assert "3 served 0 refused limit: 19 a minute, far above" in read(response)
    assert drawn(response)["line"] is None
    call(text)
    response = signed_in.get("/")
    assert "far above" not in read(response)
    assert drawn(response)["line"]["value"] == 19


def test_what_has_no_limit_has_no_line(signed_in, issue):
    key, _ = issue()
    key.tier.day = None
    key.tier.save()
    response = signed_in.get("/", {"span": "month"})
    assert drawn(response)["line"] is None
    assert "limit: none" not in read(response)


@pytest.mark.parametrize("span", ["", "year", "HOUR", "<b>", "hour\0"])
def test_a_span_that_is_none_is_the_hour(signed_in, issue, span):
    issue()
    response = signed_in.get("/", {"span": span})
    assert response.status_code in (200, 404)  # no text with a NUL is fit for a database
    if response.status_code == 200:
        assert len(drawn(response)["starts"]) == 60


def test_the_live_part_draws_the_span_that_was_asked_for(signed_in, issue, call):
    key, text = issue()
    call(text, 2)
    live = signed_in.get("/usage/live/", {"key": key.start, "span": "month"})
    assert (len(drawn(live)["starts"]), sums(drawn(live))) == (30, [2, 0])
    page = signed_in.get("/", {"key": key.start, "span": "month"})
    assert f"/usage/live/?key={key.start}&amp;span=month" in page.content.decode()


def test_the_table_says_the_same_newest_first_and_nothing_of_quiet_minutes(
    signed_in, issue, call, driven_clock
):
    _, text = issue(minute_override=4)
    call(text, 6)
    driven_clock.advance(120)
    call(text, 3)
    assert "The same as a table Minute Served Refused 12:02 UTC 3 0 12:00 UTC 4 2 CSV" in read(
        signed_in.get("/")
    )
    assert "Hour Served Refused 12:00 UTC 7 2 CSV" in read(signed_in.get("/", {"span": "day"}))


def test_days_are_utc_days_in_every_zone(signed_in, issue, call):
    _, text = issue()
    call(text)
    response = signed_in.get("/", {"span": "month"})
    assert "UTC day Served Refused 1 Mar 1 0" in read(response)
    assert '<time datetime="2026-03-01">1 Mar</time>' in response.content.decode()


def test_without_any_request_it_says_so(signed_in, issue):
    issue()
    page = read(signed_in.get("/"))
    assert "0 served 0 refused" in page
    assert "No request was counted in this time." in page


def test_refusals_of_every_kind_are_drawn(signed_in, issue, call, driven_clock):
    _, text = issue(minute_override=1, allowed_networks=["192.0.2.0/24"])
    assert {answer.status_code for answer in call(text, 3)} == {403}
    local_hits().flush()
    assert sums(drawn(signed_in.get("/"))) == [0, 3]


def test_without_the_limit_store_what_is_booked_is_drawn(
    signed_in, issue, call, driven_clock, lose_the_store
):
    _, text = issue(minute_override=4)
    call(text, 6)
    driven_clock.advance(65)
    book_closed_minutes(limit_store())
    call(text, 3)
    lose_the_store()
    with time_machine.travel(driven_clock.seconds, tick=False):
        response = signed_in.get("/")
    assert "The limit store can't be reached." in read(response)
    assert sums(drawn(response)) == [4, 2]
