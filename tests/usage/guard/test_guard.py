"""The guard as a client meets it: keys, refusals in every dialect, headers on every answer."""

import itertools
import json
import os
import signal

import http_sf
import pytest
from django.db import OperationalError, connection
from django.views.decorators.csrf import csrf_exempt

from accounts import api_keys
from accounts.models import ApiKey, Tier
from usage import routes
from usage.guard.guard import Guard
from usage.guard.known_subjects import KnownSubjects
from usage.guard.wsgi import GuardedApplication
from usage.limits import link
from usage.limits.store import limit_store
from usage.subjects import of_key

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.usage.api_urls")]

CONVERT = "/api/v1/convert"
RATE_HEADERS = {
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "RateLimit-Policy",
    "RateLimit",
}


@pytest.fixture(autouse=True)
def _clock(driven_clock):
    return driven_clock


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": "Bearer KEY"},
        {"Authorization": "bearer  KEY"},
        {"X-Api-Key": "KEY"},
        {"X-Fast-Api-Key": "KEY"},
    ],
)
def test_a_key_is_taken_from_each_of_the_three_headers(api, issue, header):
    key, text = issue()
    headers = {name: value.replace("KEY", text) for name, value in header.items()}
    assert api.post(CONVERT, headers=headers).json() == {"subject": f"k:{key.pk}"}


def test_a_key_in_the_query_string_is_ignored(api, issue):
    _, text = issue()
    assert api.post(f"{CONVERT}?key={text}&api_key={text}").json() == {"subject": "ip:127.0.0.1"}


def test_every_answer_carries_the_headers(api, issue, driven_clock):
    _, text = issue()
    driven_clock.set("2026-03-01T12:00:29")
    response = api.post(CONVERT, headers=bearer(text))
    assert {name: response.headers[name] for name in RATE_HEADERS} == {
        "X-RateLimit-Limit": "30",
        "X-RateLimit-Remaining": "29",
        "X-RateLimit-Reset": str(driven_clock.seconds + 31),
        "RateLimit-Policy": '"minute";q=30;w=60, "day";q=1000;w=86400, '
        '"concurrent";q=5;qu="concurrent-requests"',
        "RateLimit": '"minute";r=29;t=31, "day";r=999;t=43171, "concurrent";r=4',
    }


def answers(api, issue):
    """One answer of every sort the guard and the views behind it can give."""
    _, text = issue(minute_override=1)
    _, revoked = issue(status=ApiKey.Status.REVOKED)
    _, suspended = issue(status=ApiKey.Status.SUSPENDED)
    yield 200, api.post(CONVERT, headers=bearer(text))
    yield 429, api.post(CONVERT, headers=bearer(text))
    yield 200, api.get("/api/v1/jobs/job_1", headers=bearer(text))
    yield 404, api.get("/api/v1/nothing", headers=bearer(text))
    yield 500, api.post(f"{CONVERT}?broken")
    yield 401, api.post(CONVERT, headers=bearer("koala_nonsense"))
    yield 401, api.post(CONVERT, headers=bearer(api_keys.new_text()))
    yield 401, api.post(CONVERT, headers={"Authorization": "Basic abc"})
    yield 401, api.post(CONVERT, headers=bearer(revoked))
    yield 403, api.post(CONVERT, headers=bearer(suspended))


def test_no_answer_is_without_headers_and_a_parser_reads_each(api, issue):
    for status, response in answers(api, issue):
        assert response.status_code == status
        assert set(response.headers) >= RATE_HEADERS, response.content
        for name in ("RateLimit", "RateLimit-Policy"):
            assert http_sf.parse(response.headers[name].encode(), tltype="list")


def test_a_page_is_none_of_the_guards_business(api, valkey):
    response = api.get("/page")
    assert response.content == b"a page"
    assert not RATE_HEADERS & set(response.headers)
    assert valkey.dbsize() == 0


def test_over_the_limit_the_first_dialect_answers_as_promised(api, issue, driven_clock, settings):
    settings.BASE_URL = "https://panel.example"
    key, text = issue()
    driven_clock.set("2026-03-01T12:00:48")
    for _ in range(30):
        assert api.post(CONVERT, headers=bearer(text)).status_code == 200
    response = api.post(CONVERT, headers=bearer(text))
    assert response.status_code == 429
    assert response.headers["Retry-After"] == "12"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-RateLimit-Remaining"] == "0"
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == {
        "error": "Rate limit exceeded",
        "retry_after": 12,
        "code": "rate_limited",
        "limit": "minute",
        "detail": "30 requests per minute; the next window opens in 12 s.",
        "escalation": {
            "tier": 1,
            "until": None,
            "strikes_to_next_tier": 3,
            "explain_url": f"https://panel.example/usage/?key={key.start}",
        },
    }


def test_over_the_limit_the_short_routes_answer_in_theirs(api, issue, driven_clock):
    _, text = issue(minute_override=1)
    api.post("/convert", headers=bearer(text))
    driven_clock.advance(48)
    response = api.post("/convert", headers=bearer(text))
    assert (response.status_code, response.headers["Retry-After"]) == (429, "12")
    assert response.json() == {
        "error": "rate_limited",
        "detail": "Too many requests. Retry after 12 seconds.",
    }


@pytest.mark.parametrize("path", [CONVERT, "/convert"])
def test_over_the_limit_a_client_may_ask_for_problem_details(api, issue, path):
    _, text = issue(minute_override=1)
    api.post(path, headers=bearer(text))
    response = api.post(path, headers={**bearer(text), "Accept": "application/problem+json, */*"})
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert (problem["status"], problem["violated-policies"]) == (429, ["minute"])
    assert response.headers["Retry-After"] == "60"


def test_the_full_allocation_is_back_at_the_reset_that_was_told(api, issue, driven_clock):
    _, text = issue(minute_override=2)
    driven_clock.set("2026-03-01T12:00:40")
    for _ in range(3):
        response = api.post(CONVERT, headers=bearer(text))
    assert int(response.headers["X-RateLimit-Reset"]) - driven_clock.seconds == 20
    driven_clock.advance(int(response.headers["Retry-After"]))
    response = api.post(CONVERT, headers=bearer(text))
    assert (response.status_code, response.headers["X-RateLimit-Remaining"]) == (200, "1")


def test_a_route_that_isnt_charged_tells_the_state_and_leaves_it(api, issue):
    _, text = issue(minute_override=1)
    for _ in range(3):
        response = api.get("/api/v1/jobs/job_1", headers=bearer(text))
        assert (response.status_code, response.headers["X-RateLimit-Remaining"]) == (200, "1")
    api.post(CONVERT, headers=bearer(text))
    response = api.get("/api/v1/jobs/job_1", headers=bearer(text))
    assert (response.status_code, response.headers["X-RateLimit-Remaining"]) == (200, "0")


def test_two_guests_behind_one_address_share_a_limit(new_client):
    statuses = [new_client().post(CONVERT).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]


def test_a_spoofed_forwarded_for_buys_no_new_allocation(api):
    statuses = [
        api.post(CONVERT, headers={"X-Forwarded-For": f"203.0.113.{number}"}).status_code
        for number in range(11)
    ]
    assert statuses == [200] * 10 + [429]


def test_the_lease_is_back_before_the_client_has_its_answer(api, issue, valkey):
    _, text = issue(concurrent_override=1)
    for _ in range(3):
        assert api.post(CONVERT, headers=bearer(text)).status_code == 200
        assert valkey.keys("kp1:*:f:*") == []


def test_a_streamed_answer_holds_its_place_until_it_is_closed(api, issue, valkey):
    _, text = issue(concurrent_override=1)
    streamed = api.post(f"{CONVERT}?streamed", headers=bearer(text))
    assert api.post(CONVERT, headers=bearer(text)).json()["limit"] == "concurrent"
    assert b"".join(streamed.streaming_content) == b"in parts"
    streamed.close()
    assert valkey.keys("kp1:*:f:*") == []
    assert api.post(CONVERT, headers=bearer(text)).status_code == 200


def test_a_view_that_breaks_gives_its_lease_back_and_is_booked_as_failed(api, issue, valkey, driven_clock):
    key, text = issue(concurrent_override=1)
    assert [api.post(f"{CONVERT}?broken", headers=bearer(text)).status_code for _ in range(2)] == [500, 500]
    (usage,) = [valkey.hgetall(name) for name in valkey.keys("kp1:*:u:*")]
    assert usage[f"k:{key.pk}|convert|failed".encode()] == b"2"


def test_while_a_request_is_worked_on_it_holds_its_place(api, new_client, issue, monkeypatch):
    _, text = issue(concurrent_override=1)
    seen = []

    def look_from_inside(request):
        seen.append(new_client().post(CONVERT, headers=bearer(text)))
        return original(request)

    from tests.usage import api_urls

    original = api_urls.any_job
    monkeypatch.setattr(api_urls.urlpatterns[0], "callback", csrf_exempt(look_from_inside))
    assert api.post(CONVERT, headers=bearer(text)).status_code == 200
    assert seen[0].status_code == 429
    assert seen[0].json()["limit"] == "concurrent"
    assert seen[0].json()["detail"] == "1 concurrent request; one of them has to end first."
    assert seen[0].headers["Retry-After"] == "1"


def test_the_warm_path_runs_no_sql_and_makes_one_round_trip(
    api, issue, built, django_assert_num_queries, monkeypatch
):
    _, text = issue()
    with django_assert_num_queries(1):
        api.post(CONVERT, headers=bearer(text))
    asked, told = [], []
    ask, tell = link.Link.ask, link.Link.tell
    monkeypatch.setattr(link.Link, "ask", lambda self, *words: asked.append(1) or ask(self, *words))
    monkeypatch.setattr(link.Link, "tell", lambda self, command: told.append(1) or tell(self, command))
    with django_assert_num_queries(0):
        api.post(CONVERT, headers=bearer(text))
    assert (len(asked), len(told)) == (1, 1)
    with django_assert_num_queries(0):
        api.get("/api/v1/jobs/job_1", headers=bearer(text))
    assert (len(asked), len(told)) == (2, 1)


def test_a_guest_on_the_warm_path_runs_no_sql(api, django_assert_num_queries):
    api.post(CONVERT)
    with django_assert_num_queries(0):
        assert api.post(CONVERT).status_code == 200


@pytest.mark.once
def test_100_000_bogus_keys_leave_no_store_key_behind(valkey):
    """Through the guard itself: the test client would take minutes for what is about the store."""
    guard = Guard(KnownSubjects())
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": CONVERT}
    body = api_keys.new_text()[: -api_keys.CHECKSUM_LENGTH - 5]
    endings = itertools.product("0123456789abcdefghij", repeat=5)
    for number, ending in zip(range(100_000), endings, strict=False):
        text = body + "".join(ending)
        # One in twenty has a right checksum, so that it is looked up.
        text += api_keys._checksum(text) if number % 20 == 0 else "000000"
        refused = guard.check(environ | {"HTTP_AUTHORIZATION": f"Bearer {text}"})
        assert refused.status in (401, 429)
    assert valkey.keys("kp1:*") == []
    # In the cache, what is allowed and how often this address has tried; some minutes may have passed.
    assert valkey.dbsize() < 10


def test_an_unknown_key_is_refused_in_words_that_help(api):
    response = api.post(CONVERT, headers=bearer("koala_" + "a" * 38))
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert (response.json()["code"], response.json()["error"]) == ("invalid_key", "Invalid API key")
    assert "last characters" in response.json()["detail"]
    assert "no such key" in api.post(CONVERT, headers=bearer(api_keys.new_text())).json()["detail"]
    assert "Bearer KEY" in api.post(CONVERT, headers={"Authorization": "Bearer"}).json()["detail"]


def test_revoking_is_felt_by_the_next_request_of_a_process_that_knew_the_key(api, issue):
    key, text = issue()
    assert api.post(CONVERT, headers=bearer(text)).status_code == 200
    key.status = ApiKey.Status.REVOKED
    key.save()
    response = api.post(CONVERT, headers=bearer(text))
    assert (response.status_code, response.json()["code"]) == (401, "key_revoked")


def test_a_suspended_key_is_told_where_to_ask_and_has_no_time_to_wait_for(api, issue):
    key, text = issue(status=ApiKey.Status.SUSPENDED)
    response = api.post(CONVERT, headers=bearer(text))
    assert (response.status_code, response.json()["code"]) == (403, "key_suspended")
    assert "Retry-After" not in response.headers
    assert f"/usage/?key={key.start}" in response.json()["detail"]


def test_a_suspended_key_keeps_its_downloads_and_nothing_else(api, issue):
    _, text = issue(status=ApiKey.Status.SUSPENDED)
    assert api.get("/api/v1/downloads/token", headers=bearer(text)).status_code == 200
    assert api.get("/api/v1/jobs/job_1", headers=bearer(text)).status_code == 403


def test_a_deleted_key_is_unknown_at_the_next_request(api, issue):
    key, text = issue()
    api.post(CONVERT, headers=bearer(text))
    key.delete()
    assert api.post(CONVERT, headers=bearer(text)).json()["code"] == "invalid_key"


def test_a_disabled_accounts_keys_stop_with_it(api, issue, owner):
    _, text = issue()
    api.post(CONVERT, headers=bearer(text))
    owner.is_active = False
    owner.save()
    assert api.post(CONVERT, headers=bearer(text)).json()["code"] == "key_revoked"


def test_a_tiers_new_limit_is_in_force_at_the_next_request(api, issue):
    _, text = issue()
    assert api.post(CONVERT, headers=bearer(text)).headers["X-RateLimit-Limit"] == "30"
    tier = Tier.objects.get(slug="free")
    tier.minute = 40
    tier.save()
    response = api.post(CONVERT, headers=bearer(text))
    assert (response.headers["X-RateLimit-Limit"], response.headers["X-RateLimit-Remaining"]) == ("40", "38")


def test_a_key_that_moves_to_another_tier_has_its_limits_at_the_next_request(api, issue):
    key, text = issue()
    api.post(CONVERT, headers=bearer(text))
    key.tier = Tier.objects.get(slug="pro")
    key.save()
    assert api.post(CONVERT, headers=bearer(text)).headers["X-RateLimit-Limit"] == "120"


def test_a_keys_own_limit_wins_over_its_tiers(api, issue):
    _, text = issue(day_override=7)
    assert '"day";q=7;' in api.post(CONVERT, headers=bearer(text)).headers["RateLimit-Policy"]


def test_an_expired_key_says_so(new_client, issue, time_machine):
    from datetime import UTC, datetime, timedelta

    time_machine.move_to(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False)
    _, text = issue(expires_at=datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC))
    assert new_client().post(CONVERT, headers=bearer(text)).status_code == 200
    time_machine.shift(timedelta(seconds=31))
    assert new_client().post(CONVERT, headers=bearer(text)).json()["code"] == "key_expired"


def test_without_the_store_charged_routes_answer_503_and_the_others_go_on(api, issue, monkeypatch):
    _, text = issue()
    monkeypatch.setattr(limit_store(), "url", "unix:///nowhere/valkey.sock")
    monkeypatch.setattr(limit_store(), "_threads", type(limit_store()._threads)())
    response = api.post(CONVERT, headers=bearer(text))
    assert (response.status_code, response.json()["code"]) == (503, "limits_unavailable")
    assert int(response.headers["Retry-After"]) >= 1
    response = api.get("/api/v1/jobs/job_1", headers=bearer(text))
    assert response.status_code == 200
    assert "RateLimit" not in response.headers
    assert response.headers["X-RateLimit-Limit"] == "30"


def test_a_keys_text_is_nowhere_in_the_database_or_the_store(api, issue, valkey):
    key, text = issue()
    api.post(CONVERT, headers=bearer(text))
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM accounts_apikey WHERE id = %s", [key.pk])
        row = json.dumps(cursor.fetchone(), default=str)
    assert text not in row
    assert text[13:-4] not in row
    dump = b"".join(name + (valkey.dump(name) or b"") for name in valkey.keys("*"))
    assert text.encode() not in dump


def test_an_admission_is_decided_once_by_whichever_door_it_came(api, issue, valkey):
    key, text = issue()
    api.post(CONVERT, headers=bearer(text))
    (usage,) = [valkey.hgetall(name) for name in valkey.keys("kp1:*:u:*")]
    assert usage == {f"k:{key.pk}|convert|admitted".encode(): b"1"}


def test_a_client_cant_bring_its_own_admission(api, issue):
    _, text = issue(status=ApiKey.Status.REVOKED)
    headers = {**bearer(text), "koalapanel.admission": "yes", "koalapanel-admission": "yes"}
    assert api.post(CONVERT, headers=headers).status_code == 401


@pytest.mark.parametrize("method", ["post", "Post", "pOST"])
def test_a_method_in_lower_case_is_charged_like_any_other(api, issue, method):
    """Django runs the view for POST whatever the case it came in."""
    _, text = issue(minute_override=2)
    answers = [api.generic(method, CONVERT, headers=bearer(text)).status_code for _ in range(3)]
    assert answers == [200, 200, 429]


@pytest.mark.parametrize(
    ("path", "is_ours"),
    [
        *(("/convert", True), ("/convert/", True), ("/api", True), ("/api/v1/x", True), ("/job/x", True)),
        *(("/converts", False), ("/jobs", False), ("/apis", False), ("/", False)),
    ],
)
def test_the_api_is_its_paths_and_what_is_below_them(path, is_ours):
    assert routes.is_api_path(path) is is_ours


def test_an_answer_that_never_came_to_be_gives_its_lease_back(issue, valkey):
    _, text = issue(concurrent_override=1)

    def broken(environ, start_response):
        raise LookupError("before Django could handle it")

    application = GuardedApplication(broken)
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": CONVERT, "HTTP_AUTHORIZATION": f"Bearer {text}"}
    for _ in range(2):
        with pytest.raises(LookupError):
            application(environ.copy(), lambda *started: None)
    assert valkey.keys("kp1:*:f:*") == []


def test_a_store_that_wakes_up_later_has_not_charged_what_was_refused_meanwhile(
    api, issue, valkey, monkeypatch
):
    key, text = issue(minute_override=9)
    api.post(CONVERT, headers=bearer(text))
    monkeypatch.setattr(limit_store(), "_timeout", 0.05)
    monkeypatch.setattr(limit_store(), "_threads", type(limit_store()._threads)())
    for connected_before in (False, True):
        if connected_before:
            assert api.post(CONVERT, headers=bearer(text)).status_code == 200
        server = valkey.info("server")["process_id"]
        os.kill(server, signal.SIGSTOP)
        try:
            response = api.post(CONVERT, headers=bearer(text))
        finally:
            os.kill(server, signal.SIGCONT)
        assert (response.status_code, response.json()["code"]) == (503, "limits_unavailable")
        valkey.ping()
    monkeypatch.setattr(limit_store(), "_timeout", 2)
    monkeypatch.setattr(limit_store(), "_threads", type(limit_store()._threads)())
    standing = limit_store().look(of_key(key))
    assert (standing.minute_count, standing.day_count, standing.in_flight) == (2, 2, 0)
    (usage,) = [valkey.hgetall(name) for name in valkey.keys("kp1:*:u:*")]
    assert usage == {f"k:{key.pk}|convert|admitted".encode(): b"2"}


def test_while_the_database_is_away_an_unknown_client_is_asked_to_come_back(api, monkeypatch):
    def away(text):
        raise OperationalError("away")

    monkeypatch.setattr(api_keys, "find_secret", away)
    response = api.post(CONVERT, headers=bearer(api_keys.new_text()))
    assert (response.status_code, response.json()["code"]) == (503, "limits_unavailable")
    assert response.headers["Retry-After"] == "2"
