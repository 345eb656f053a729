"""What people and programs are told over an endpoint limit, where each of them holds, and what is booked."""

import re
from datetime import datetime
from urllib.parse import parse_qs, urlencode, urlsplit

import http_sf
import pytest
import time_machine
from django.test import Client

from accounts import api_keys
from accounts.models import EndpointLimit, Tier, User
from tests.usage.wsgi_client import WsgiClient
from usage.books.booking import book_closed_minutes
from usage.endpoint_limits.hits import per
from usage.guard.local_hits import local_hits
from usage.limits import link
from usage.limits.store import limit_store
from usage.models import RateHit, UsageMinute
from usage.standing import standing_of
from usage.subjects import of_key, of_network

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "eucalyptus leaf nine"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def clock(driven_clock):
    """Both clocks, the web process's and the limit store's, stand still at the same time."""
    with time_machine.travel(driven_clock.at, tick=False) as traveller:

        def move(seconds):
            driven_clock.advance(seconds)
            traveller.shift(seconds)

        yield move


@pytest.fixture
def staff(db):
    return User.objects.create_superuser("staff@example.com", PASSWORD)


def sign_in(path="/accounts/login/", client=None, **meta):
    form = {"login": "ada@example.com", "password": "wrong", "username": "ada@example.com"}
    return (client or Client()).post(path, form, headers=BROWSER, **meta)


def present(text, client=None, path="/api/v1/conversions", **headers):
    return (client or Client()).get(path, headers={"Authorization": f"Bearer {text}", **headers})


# What each limit counts, once; and how often it may.
ASKED = {
    "login": (lambda: sign_in(), 10),
    "password_reset": (lambda: Client().post("/accounts/password/reset/", {"email": "a@example.com"}), 5),
    "contact": (lambda: Client().post("/contact/", {}), 5),
    "oidc_authorize": (lambda: Client().get("/identity/o/authorize"), 60),
    "download": (lambda: Client().get("/api/v1/downloads/made-up"), 30),
    "entitlements": (lambda: Client().get("/api/v1/entitlements/me"), 300),
    "key_validation": (lambda: present("koala_nonsense"), 300),
}


def until_refused(ask, most=400):
    """How many requests are admitted, and the answer to the first that isn't."""
    for number in range(most):
        answer = ask()
        if answer.status_code == 429:
            return number, answer
        assert answer.status_code < 500
    raise AssertionError("never refused")


@pytest.mark.parametrize("name", ASKED)
def test_each_limit_admits_its_number_and_tells_the_wait_that_is_needed(name, clock):
    ask, number = ASKED[name]
    assert EndpointLimit.objects.get(name=name).requests == number
    admitted, refused = until_refused(ask)
    assert admitted == number
    wait = int(refused.headers["Retry-After"])
    assert refused.headers["Cache-Control"] == "no-store"
    assert wait >= 1
    clock(wait - 1)
    assert ask().status_code == 429
    clock(1)
    assert ask().status_code != 429


@pytest.mark.parametrize(
    "other",
    [
        "/accounts/login/?next=/usage/",
        "/accounts/reauthenticate/",
        "/accounts/2fa/authenticate/",
        "/accounts/2fa/reauthenticate/",
        "/accounts/2fa/webauthn/reauthenticate/",
        "/admin/login/",
    ],
)
def test_whatever_tries_a_password_or_a_code_is_one_count(other, clock, staff):
    client = Client()
    client.force_login(staff)
    until_refused(sign_in)
    assert sign_in(other, client).status_code == 429
    # To look at a form tries nothing.
    assert client.get(other).status_code != 429


@pytest.mark.parametrize(
    "path",
    ["/ACCOUNTS/login/", "/accounts/Login/", "/accounts/login", "//accounts/login/", "/accounts/login/%20"],
)
def test_no_other_writing_of_an_address_tries_a_password(path, clock, staff):
    until_refused(sign_in)
    form = {"login": staff.email, "password": PASSWORD}
    client = Client()
    assert client.post(path, form, follow=True).status_code != 200 or path == "/accounts/login"
    assert "_auth_user_id" not in client.session


def test_nor_does_a_header_that_anybody_can_send(clock):
    until_refused(sign_in)
    for name in ("HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_CLIENT_IP", "HTTP_FORWARDED"):
        assert sign_in(**{name: "198.51.100.1"}).status_code == 429
    assert sign_in(REMOTE_ADDR="::ffff:127.0.0.1").status_code == 429
    assert sign_in(REMOTE_ADDR="198.51.100.1").status_code == 200


# --- People ----------------------------------------------------------------------------------------------


def test_people_get_a_page_of_ours_that_tells_what_happened_and_the_wait(clock):
    _, page = until_refused(sign_in)
    wait = int(page.headers["Retry-After"])
    text = page.content.decode()
    assert page.headers["Content-Type"].startswith("text/html")
    assert "Content-Security-Policy" in page.headers
    assert 'class="kp-brand"' in text
    assert "Too many sign-in attempts" in text
    assert "can be tried 10 times per minute from one internet address" in text
    assert "neither right nor wrong" in text
    # Without a script, too; with one it is counted down, by the server's clock.
    assert f">in {wait}\u00a0s</strong>" in text
    now, until = (
        datetime.fromisoformat(re.search(rf'{name}="([^"]*)"', text)[1])
        for name in ("data-now", "data-countdown")
    )
    assert (until - now).total_seconds() == wait
    assert "js/moments.js" in text
    assert re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=", text) is None


@pytest.mark.parametrize("where", ["in the address", "in the form"])
def test_the_way_back_leads_to_the_form_and_from_there_where_it_would_have_led(where, clock):
    hostile = '/usage/?key="><script>'
    until_refused(sign_in)
    if where == "in the address":
        page = sign_in(f"/accounts/login/?{urlencode({'next': hostile})}")
    else:
        page = Client().post(
            "/accounts/login/", {"next": hostile, "login": "ada@example.com"}, headers=BROWSER
        )
    text = page.content.decode()
    assert "Back to the form" in text
    back = urlsplit(re.search(r'class="btn btn-primary" href="([^"]*)"', text)[1])
    assert (back.path, parse_qs(back.query)) == ("/accounts/login/", {"next": [hostile]})
    assert "<script>" not in text


def test_what_another_service_asked_by_a_form_is_asked_again_by_the_service_alone(clock):
    until_refused(ASKED["oidc_authorize"][0])
    asked = Client().get("/identity/o/authorize?client_id=x&state=y", headers=BROWSER).content.decode()
    assert 'href="/identity/o/authorize?client_id=x&amp;state=y">Try again' in asked
    posted = Client().post("/identity/o/authorize", {"client_id": "x"}, headers=BROWSER).content.decode()
    assert 'href="/">Back to the start' in posted


def test_a_long_wait_is_told_to_the_second(clock):
    _, page = until_refused(ASKED["password_reset"][0])
    minutes, seconds = divmod(int(page.headers["Retry-After"]), 60)
    words = "\u00a0".join(
        ["in", *([str(minutes), "min"] if minutes else []), *([str(seconds), "s"] if seconds else [])]
    )
    shown = re.search(r"data-to-the-second>([^<]*)<", page.content.decode())[1]
    assert re.sub(r"\s", " ", shown) == re.sub(r"\s", " ", words)
    assert "5 times in 15 minutes" in page.content.decode()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "per second"),
        (60, "per minute"),
        (900, "in 15 minutes"),
        (90, "in 90 seconds"),
        (3600, "per hour"),
    ],
)
def test_a_span_is_told_as_people_say_it(seconds, words):
    assert per(seconds) == words


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/json", "application/json"),
        ("application/json, text/html;q=0.5", "application/json"),
        ("application/problem+json", "application/problem+json"),
        ("*/*", "text/html"),
        ("", "text/html"),
        ("text/html, application/json;q=0.9", "text/html"),
    ],
)
def test_a_program_on_a_page_gets_json_if_it_asks_for_that(accept, content_type, clock):
    until_refused(sign_in)
    answer = Client().post("/accounts/login/", headers={"Accept": accept} if accept else {})
    assert answer.status_code == 429
    assert answer.headers["Content-Type"].startswith(content_type)
    assert answer.headers["Cache-Control"] == "no-store"
    if content_type == "application/json":
        wait = int(answer.headers["Retry-After"])
        assert answer.json() == {
            "error": "Rate limit exceeded",
            "retry_after": wait,
            "code": "rate_limited",
            "limit": "login",
            "detail": f"10 requests per minute from one address; the next is admitted in {wait} s.",
        }


# --- Programs --------------------------------------------------------------------------------------------


def refused_in_three_ways(ask):
    """The answer in the route's dialect, and as problem details; with headers that a parser reads."""
    plain, problem = ask({}), ask({"Accept": "application/problem+json"})
    for answer in (plain, problem):
        assert answer.status_code == 429
        assert answer.headers["Cache-Control"] == "no-store"
        assert {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= answer.headers.keys()
        for name in ("RateLimit", "RateLimit-Policy"):
            assert http_sf.parse(answer.headers[name].encode(), tltype="list")
    return plain, problem


@pytest.fixture(params=[Client, WsgiClient], ids=["middleware", "wsgi"])
def door(request):
    """Through Django's middleware, and through the door before Django."""
    return request.param(raise_request_exception=False)


def test_an_api_route_refuses_in_the_first_dialect(clock):
    until_refused(ASKED["download"][0])
    plain, problem = refused_in_three_ways(
        lambda headers: Client().get("/api/v1/downloads/made-up", headers=headers)
    )
    wait = int(plain.headers["Retry-After"])
    assert plain.json() == {
        "error": "Rate limit exceeded",
        "retry_after": wait,
        "code": "rate_limited",
        "limit": "download",
        "detail": f"30 requests per minute from one address; the next is admitted in {wait} s.",
    }
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert problem.json() == {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Rate limit exceeded",
        "status": 429,
        "detail": plain.json()["detail"],
        "code": "rate_limited",
        "violated-policies": ["download"],
    }


def unknown_keys():
    return ["koala_nonsense", "", api_keys.new_text(), "koala_" + "ä" * 40]


def test_an_address_that_presents_too_many_unknown_keys_is_refused_in_each_dialect(door, clock):
    keys = [text.encode("utf-8").decode("latin-1") for text in unknown_keys()]
    asked = iter(keys * 100)
    assert until_refused(lambda: present(next(asked), door))[0] == 300
    plain, _ = refused_in_three_ways(lambda headers: present(keys[2], door, **headers))
    assert (plain.json()["code"], plain.json()["limit"]) == ("rate_limited", "key_validation")
    assert "WWW-Authenticate" not in plain.headers
    short = present("made up", door, "/conversions")
    assert short.json() == {
        "error": "rate_limited",
        "detail": f"Too many requests. Retry after {short.headers['Retry-After']} seconds.",
    }


def test_a_key_that_we_know_goes_on_from_the_same_address_and_so_does_none(door, clock, issue):
    _, text = issue()
    _, revoked = issue(status="revoked")
    until_refused(lambda: present("made up", door))
    assert present(text, door).status_code == 200
    assert door.get("/api/v1/conversions").status_code == 200
    assert present(revoked, door).status_code == 401
    assert present("made up", door, REMOTE_ADDR="203.0.113.9").status_code == 429


def test_known_keys_that_are_refused_count_against_nothing(door, clock, issue):
    _, revoked = issue(status="revoked")
    for _ in range(310):
        assert present(revoked, door).status_code == 401


def test_an_unknown_key_costs_one_round_trip_and_none_once_its_address_is_known_to_be_over(clock, valkey):
    def commands():
        stats = valkey.info("commandstats")
        return sum(stats[name]["calls"] for name in stats if name in ("cmdstat_exec", "cmdstat_get"))

    web = WsgiClient()
    present("made up", web)
    before = commands()
    for _ in range(10):
        present("made up", web)
    # Its copy of the rates may turn a second old meanwhile.
    assert 10 <= commands() - before <= 12
    until_refused(lambda: present("made up", web))
    before = commands()
    for _ in range(10):
        assert present("made up", web).status_code == 429
    assert commands() - before <= 2


# --- The books -------------------------------------------------------------------------------------------


def book(clock):
    local_hits().flush()
    clock(70)
    book_closed_minutes(limit_store())


def test_a_refused_page_is_a_hit_of_its_address_and_no_strike(built, clock):
    until_refused(sign_in)
    for _ in range(60):
        sign_in()
    book(clock)
    (hit,) = RateHit.objects.all()
    assert (hit.subject, hit.kind, hit.route, hit.count) == ("ip:127.0.0.1", "login", "account_login", 61)
    (row,) = UsageMinute.objects.all()
    assert (row.subject, row.other_hits, row.refused) == ("ip:127.0.0.1", 61, 61)
    assert is_clear("127.0.0.1")


def is_clear(network):
    """No tier, no strike, nothing used."""
    decision = limit_store().look(of_network(network, Tier.objects.get(slug=Tier.ANONYMOUS)))
    return (decision.escalation, decision.strikes, decision.minute_count, decision.day_count) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("download", "downloads"),
        ("key_validation", "conversions"),
        ("oidc_authorize", "idp:oidc:authorization"),
    ],
)
def test_a_refused_program_is_a_hit_of_its_address(name, route, built, clock):
    ask, _ = ASKED[name]
    until_refused(ask)
    ask()
    book(clock)
    (hit,) = RateHit.objects.filter(kind=name)
    assert (hit.subject, hit.route, hit.count, hit.address) == ("ip:127.0.0.1", route, 2, "127.0.0.1")
    assert is_clear("127.0.0.1")


def test_refused_entitlements_are_the_keys_and_show_at_once_and_after_they_are_booked(built, clock, issue):
    key, text = issue()
    until_refused(lambda: present(text, path="/api/v1/entitlements/me"))
    local_hits().flush()

    def shown():
        standing = standing_of(of_key(key))
        return [(hit.kind, hit.route, hit.count) for hit in standing.hits.newest], standing.footing.escalation

    assert shown() == ([("entitlements", "entitlements", 1)], 0)
    book(clock)
    assert shown() == ([("entitlements", "entitlements", 1)], 0)
    assert RateHit.objects.get().subject == f"k:{key.pk}"


def test_people_read_which_limit_it_was():
    from accounts.endpoint_limits.names import NAMES
    from usage.templatetags.quotas import limit_name

    assert all(limit_name(name).endswith(" limit") for name in NAMES)


# --- While nobody can count ------------------------------------------------------------------------------


def test_without_the_store_the_api_goes_on_and_guesses_nothing(clock, issue, settings, monkeypatch):
    import copy

    _, text = issue()
    present(text)
    caches = copy.deepcopy(settings.CACHES)
    for one in caches.values():
        one["LOCATION"] = "redis://127.0.0.1:1/0"
    settings.CACHES = caches

    def refuse(*_):
        raise link.LimitStoreDown("away")

    monkeypatch.setattr(link.Link, "ask", refuse)
    assert Client().get("/api/v1/downloads/made-up").status_code == 404
    assert present("made up").status_code == 401
    assert present(text, path="/api/v1/entitlements/me").json()["live"] is False
    assert Client().get("/identity/o/authorize").status_code < 500
    assert sign_in().status_code == 503
