"""The page of rate-limit hits: all that is kept, by pages and by what refused, of one's own keys alone."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse

from accounts.models import ApiKey, User
from tests.usage.test_usage_page import read
from usage.books.booking import book_closed_minutes
from usage.hits import RECENT_HITS, Before
from usage.limits.store import limit_store
from usage.models import BookedUntil, RateHit
from usage.subjects import bucket_of

pytestmark = pytest.mark.django_db(transaction=True)

HITS = "/usage/hits/"


@pytest.fixture(autouse=True)
def _clock(driven_clock):
    driven_clock.set("2026-03-01T12:00:30")
    return driven_clock


@pytest.fixture
def booked(driven_clock):
    """Puts hits of a key into the books, one a minute back from now: `counts` from the newest on."""

    def book(key, counts, kind="minute", **fields):
        subject, last = f"k:{key.pk}", driven_clock.seconds // 60 - 1
        BookedUntil.objects.update_or_create(bucket=bucket_of(subject), defaults={"minute": last})
        start = driven_clock.at.replace(second=0) - timedelta(minutes=1)
        RateHit.objects.bulk_create(
            RateHit(
                subject=subject,
                minute=start - timedelta(minutes=back),
                kind=kind,
                route="convert",
                count=count,
                **fields,
            )
            for back, count in enumerate(counts)
        )

    return book


def counts(response):
    return [int(n) for n in re.findall(r'<td class="text-end">(\d+)</td>', response.content.decode())]


def link(response, words):
    """Where the link with these words leads, if there is one."""
    found = re.search(rf'href="([^"]*)">{words}</a>', response.content.decode())
    return found and HITS + found[1].replace("&amp;", "&")


def test_pages_lead_on_to_the_last_hit_and_back_to_the_newest(signed_in, issue, booked):
    key, _ = issue()
    booked(key, range(1, 2 * RECENT_HITS + 11))
    page, seen = signed_in.get(HITS, {"key": key.start}), []
    assert link(page, "Newest") is None
    assert '<a href="/" aria-current="true">Usage</a>' in page.content.decode()
    for _ in range(3):
        seen += counts(page)
        last, older = page, link(page, "Older")
        if older:
            page = signed_in.get(older)
    assert seen == list(range(1, 2 * RECENT_HITS + 11))
    assert link(last, "Older") is None
    assert counts(signed_in.get(link(last, "Newest"))) == list(range(1, RECENT_HITS + 1))


def test_hits_of_one_minute_are_divided_among_pages_without_loss(signed_in, issue, booked):
    key, _ = issue()
    booked(key, [1] * RECENT_HITS)
    for number, kind in enumerate(("day", "concurrent", "cooldown")):
        booked(key, [number + 2] * (RECENT_HITS // 2), kind)
    page, seen = signed_in.get(HITS), []
    while True:
        seen += counts(page)
        older = link(page, "Older")
        if older is None:
            break
        page = signed_in.get(older)
    assert len(seen) == RateHit.objects.count()
    assert sum(seen) == RECENT_HITS + RECENT_HITS // 2 * (2 + 3 + 4)


def test_a_page_that_is_exactly_full_leads_nowhere(signed_in, issue, booked):
    key, _ = issue()
    booked(key, [1] * RECENT_HITS)
    assert link(signed_in.get(HITS), "Older") is None


def test_one_kind_can_be_looked_at_alone_on_every_page(signed_in, issue, booked):
    key, _ = issue()
    booked(key, [1] * (RECENT_HITS + 5))
    booked(key, [7] * (RECENT_HITS + 5), "day")
    page = signed_in.get(HITS, {"key": key.start, "kind": "day"})
    assert '<option value="day" selected>Day limit</option>' in page.content.decode()
    assert counts(page) == [7] * RECENT_HITS
    page = signed_in.get(link(page, "Older"))
    assert counts(page) == [7] * 5
    assert counts(signed_in.get(link(page, "Newest"))) == [7] * RECENT_HITS


def test_a_kind_without_hits_says_so_and_leads_back(signed_in, issue, booked):
    key, _ = issue()
    booked(key, [1])
    page = signed_in.get(HITS, {"key": key.start, "kind": "suspended"})
    assert "Nothing was refused by that" in read(page)
    assert counts(signed_in.get(link(page, "Show what anything else refused"))) == [1]


def test_a_kind_that_is_none_is_no_filter(signed_in, issue, booked):
    key, _ = issue()
    booked(key, [1])
    assert counts(signed_in.get(HITS, {"kind": "'; DROP"})) == [1]


@pytest.mark.parametrize(
    "before", ["x", "-", "1-", "-1", "1-x", "9" * 99 + "-1", "1-" + "9" * 99, "²-1", "99999999999-1"]
)
def test_a_place_that_is_none_is_the_newest_page(signed_in, issue, booked, before):
    key, _ = issue()
    booked(key, [5])
    page = signed_in.get(HITS, {"before": before})
    assert counts(page) == [5]
    assert link(page, "Newest") is None


@pytest.mark.parametrize("before", [Before(0, 0), Before(10**8 - 1, 10**15 - 1)])
def test_a_place_far_off_is_a_page_without_an_error(signed_in, issue, booked, before):
    key, _ = issue()
    booked(key, [5])
    assert counts(signed_in.get(HITS, {"before": str(before)})) in ([], [5])


def test_what_is_not_booked_yet_comes_first_and_once(signed_in, issue, booked, client, driven_clock):
    key, text = issue(minute_override=1)
    booked(key, [9])
    for _ in range(3):
        client.post("/api/v1/convert", headers={"X-Api-Key": text})
    assert counts(signed_in.get(HITS)) == [2, 9]
    driven_clock.advance(65)
    book_closed_minutes(limit_store())
    assert counts(signed_in.get(HITS)) == [2, 9]


def test_a_minute_that_is_booked_while_the_page_is_made_comes_once(
    signed_in, issue, client, driven_clock, monkeypatch
):
    _, text = issue(minute_override=1)
    for _ in range(3):
        client.post("/api/v1/convert", headers={"X-Api-Key": text})
    driven_clock.advance(65)
    ask = limit_store().booked

    def and_then_book(*asked):
        told = ask(*asked)
        monkeypatch.setattr(limit_store(), "booked", ask)
        book_closed_minutes(limit_store())
        return told

    monkeypatch.setattr(limit_store(), "booked", and_then_book)
    assert counts(signed_in.get(HITS)) == [2]
    assert RateHit.objects.count() == 1


def test_a_sample_is_shown_as_text(signed_in, issue, booked):
    key, _ = issue()
    booked(key, [1], address="192.0.2.9", user_agent="<script>alert(1)</script>")
    page = signed_in.get(HITS)
    assert "192.0.2.9 <script>alert(1)</script> Minute limit 1" in read(page)
    assert "<script>alert" not in page.content.decode()


def test_another_accounts_key_is_not_found(signed_in, issue, booked):
    issue()
    theirs, _ = issue(owner=User.objects.create_user("mallory@example.com"))
    booked(theirs, [1])
    for name in ("hits", "hits_csv", "requests_csv"):
        assert signed_in.get(reverse(name), {"key": theirs.start}).status_code == 404
        assert signed_in.get(reverse(name), {"key": "koala_nobody"}).status_code == 404
    assert counts(signed_in.get(HITS)) == []


def test_whoever_is_not_signed_in_is_sent_to_the_sign_in(client):
    for name in ("hits", "hits_csv", "requests_csv"):
        assert client.get(reverse(name)).headers["Location"].startswith("/accounts/login/?next=/usage/")


def test_without_a_key_it_leads_to_the_usage_page(signed_in):
    assert signed_in.get(HITS).headers["Location"] == "/"
    for name in ("hits_csv", "requests_csv"):
        assert signed_in.get(reverse(name)).status_code == 404


@pytest.mark.parametrize("status", [ApiKey.Status.SUSPENDED, ApiKey.Status.REVOKED])
def test_a_key_that_is_refused_keeps_its_page(signed_in, issue, booked, status):
    key, _ = issue(status=status)
    booked(key, [4])
    assert counts(signed_in.get(HITS, {"key": key.start})) == [4]


def test_without_the_limit_store_what_is_booked_is_listed(
    signed_in, issue, booked, driven_clock, lose_the_store
):
    key, _ = issue()
    booked(key, [3])
    lose_the_store()
    with time_machine.travel(driven_clock.seconds, tick=False):
        page = signed_in.get(HITS)
    assert counts(page) == [3]
    assert "without the newest minutes" in read(page)


def test_a_page_of_many_hits_takes_few_queries(signed_in, issue, booked, django_assert_max_num_queries):
    key, _ = issue()
    booked(key, range(1, 200))
    signed_in.get(HITS)
    with django_assert_max_num_queries(6):
        signed_in.get(HITS)
