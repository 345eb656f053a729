"""A request that was admitted and charged, and that its view refuses: it is as if it had not been charged."""

import pytest
from django.db import OperationalError

from tests.usage import api_urls
from usage.books import booking
from usage.guard.guard import Guard
from usage.guard.known_subjects import KnownSubjects
from usage.guard.local_hits import local_hits
from usage.limits import link
from usage.limits.store import limit_store
from usage.models import RateHit, UsageDay, UsageMinute
from usage.standing import standing_of
from usage.subjects import of_key

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.usage.api_urls")]

CONVERT = "/api/v1/convert"
REFUSED = f"{CONVERT}?refused=queued"


@pytest.fixture(autouse=True)
def _clock(driven_clock, monkeypatch):
    driven_clock.set("2026-03-01T12:00:29")
    monkeypatch.setattr("usage.guard.guard.time.time", lambda: driven_clock.seconds)
    return driven_clock


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


def counted(key):
    now = limit_store().look(of_key(key))
    return now.minute_count, now.day_count, now.in_flight


def cut_off(monkeypatch):
    """From here on this process finds no store."""
    monkeypatch.setattr(limit_store(), "url", "unix:///nowhere/valkey.sock")
    monkeypatch.setattr(limit_store(), "_threads", type(limit_store()._threads)())


def test_30_of_30_refused_requests_charge_no_window_and_are_hits_in_all_of_the_books(
    api, issue, driven_clock
):
    key, text = issue()
    for _ in range(30):
        assert api.post(REFUSED, headers=bearer(text)).status_code == 429
    assert counted(key) == (0, 0, 0)
    assert local_hits().flush()
    for _ in range(2):  # as the store knows it, and as the books have it
        standing = standing_of(of_key(key))
        assert [quota.used for quota in standing.quotas if quota.kind in ("day", "minute", "concurrent")] == [
            *(0, 0, 0)
        ]
        assert [(hit.kind, hit.route, hit.count) for hit in standing.hits.newest] == [
            ("queued", "convert", 30)
        ]
        assert (standing.footing.escalation, standing.footing.strikes) == (0, 0)
        driven_clock.advance(60)
        booking.book_closed_minutes(limit_store())
    for book in (UsageMinute, UsageDay):
        row = book.objects.get()
        assert (row.admitted, row.failed, row.refused, row.other_hits) == (0, 0, 30, 30)
    hit = RateHit.objects.get()
    assert (hit.kind, hit.count, hit.address) == ("queued", 30, "127.0.0.1")


def test_its_headers_say_what_is_left_once_the_charge_is_back(api, issue, driven_clock):
    _, text = issue()
    assert api.post(CONVERT, headers=bearer(text)).headers["X-RateLimit-Remaining"] == "29"
    response = api.post(REFUSED, headers=bearer(text))
    assert (response.headers["Retry-After"], response.headers["X-RateLimit-Remaining"]) == ("5", "29")
    assert response.headers["X-RateLimit-Reset"] == str(driven_clock.seconds + 31)
    assert response.headers["RateLimit"] == '"minute";r=29;t=31, "day";r=999;t=43171, "concurrent";r=5'
    assert len(response.headers) == len(set(response.headers))


def test_it_warns_nobody_and_strikes_nobody(api, issue):
    key, text = issue(minute_override=3)
    for _ in range(40):
        api.post(REFUSED, headers=bearer(text))
    assert limit_store().look(of_key(key)).escalation == 0
    assert [api.post(CONVERT, headers=bearer(text)).status_code for _ in range(4)] == [200, 200, 200, 429]


def test_an_error_that_is_no_refusal_stays_charged(api, issue):
    key, text = issue()
    api.post(f"{CONVERT}?broken", headers=bearer(text))
    assert counted(key) == (1, 1, 0)


def test_what_was_charged_in_a_minute_that_is_over_is_no_loss_to_the_next(
    api, issue, driven_clock, monkeypatch
):
    key, text = issue()

    def comes_late(request):
        driven_clock.advance(31)
        api.post(CONVERT, headers=bearer(text))
        return refuse(request)

    refuse = api_urls.urlpatterns[0].callback
    comes_late.csrf_exempt = True
    monkeypatch.setattr(api_urls.urlpatterns[0], "callback", lambda request: calls.pop()(request))
    api_urls.urlpatterns[0].callback.csrf_exempt = True
    calls = [refuse, comes_late]
    response = api.post(REFUSED, headers=bearer(text))
    assert response.headers["RateLimit"] == '"minute";r=29;t=60, "day";r=999;t=43140, "concurrent";r=5'
    assert counted(key) == (1, 1, 0)


def test_while_the_store_is_away_it_is_taken_back_as_soon_as_that_returns(issue, valkey, monkeypatch):
    key, text = issue()
    guard = Guard(KnownSubjects())
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": CONVERT, "HTTP_AUTHORIZATION": f"Bearer {text}"}
    admission = guard.check(environ)
    assert counted(key) == (1, 1, 1)
    admission.refused_as = "queued"
    with monkeypatch.context() as away:
        away.setattr(type(guard._late), "_begin", lambda self: None)
        cut_off(away)
        headers = guard.headers_of(admission, environ)
        guard.settle(admission, 429)
    assert ("RateLimit" in headers, headers["X-RateLimit-Limit"]) == (False, "30")
    assert counted(key) == (1, 1, 1)
    assert guard._late.settle()
    assert counted(key) == (0, 0, 0)
    assert local_hits().flush()
    (usage,) = [valkey.hgetall(name) for name in valkey.keys("kp1:*:u:*")]
    assert {name.decode(): int(n) for name, n in usage.items()} == {
        f"k:{key.pk}|convert|admitted": 0,
        f"k:{key.pk}|convert|queued": 1,
    }


def test_while_the_database_is_away_an_emptied_store_costs_nothing_but_the_numbers(
    api, issue, valkey, monkeypatch
):
    _, text = issue()
    store = limit_store()

    def away(*asked):
        raise OperationalError("away")

    def loses_all(request):
        valkey.flushall()
        monkeypatch.setattr(store.memory, "build", away)
        return refuse(request)

    refuse = api_urls.urlpatterns[0].callback
    loses_all.csrf_exempt = True
    monkeypatch.setattr(api_urls.urlpatterns[0], "callback", loses_all)
    response = api.post(REFUSED, headers=bearer(text))
    assert response.status_code == 429
    assert ("RateLimit" in response.headers, response.headers["X-RateLimit-Limit"]) == (False, "30")


def test_a_key_that_is_suspended_meanwhile_is_answered_all_the_same(api, issue, monkeypatch):
    key, text = issue()

    def suspends(request):
        from usage.escalation.reactivation import suspend

        suspend(key, by=None, reason="Resells our service.")
        return refuse(request)

    refuse = api_urls.urlpatterns[0].callback
    suspends.csrf_exempt = True
    monkeypatch.setattr(api_urls.urlpatterns[0], "callback", suspends)
    assert api.post(REFUSED, headers=bearer(text)).status_code == 429
    assert api.post(CONVERT, headers=bearer(text)).status_code == 403
    assert counted(key) == (0, 0, 0)


def test_only_the_refused_pay_for_the_second_round_trip(
    api, issue, built, django_assert_num_queries, monkeypatch
):
    _, text = issue()
    api.post(CONVERT, headers=bearer(text))
    asked, told = [], []
    ask, tell = link.Link.ask, link.Link.tell
    monkeypatch.setattr(link.Link, "ask", lambda self, *words: asked.append(1) or ask(self, *words))
    monkeypatch.setattr(link.Link, "tell", lambda self, command: told.append(1) or tell(self, command))
    with django_assert_num_queries(0):
        api.post(REFUSED, headers=bearer(text))
    assert (len(asked), len(told)) == (2, 1)
