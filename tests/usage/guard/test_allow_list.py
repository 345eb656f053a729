"""A key with an allow-list: good from its networks, and refused from elsewhere at no cost."""

from ipaddress import ip_network

import pytest

from accounts.keys import actions
from accounts.models import ApiKey
from usage.books.booking import book_closed_minutes
from usage.guard.local_hits import local_hits
from usage.limits import link
from usage.limits.store import limit_store
from usage.models import RateHit, UsageMinute
from usage.standing import standing_of_key
from usage.subjects import of_key

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.usage.api_urls")]

CONVERT = "/api/v1/convert"
HOME, ELSEWHERE = "203.0.113.9", "198.51.100.1"
OFFICE = ["203.0.113.0/24", "2001:db8:1::/48"]


@pytest.fixture(autouse=True)
def _clock(driven_clock):
    return driven_clock


def call(api, text, address=HOME, path=CONVERT, **headers):
    send = api.post if path == CONVERT else api.get
    return send(path, headers={"X-Api-Key": text, **headers}, REMOTE_ADDR=address)


@pytest.mark.parametrize("address", [HOME, "2001:db8:1:2::3", "::ffff:203.0.113.77"])
def test_a_key_is_good_from_its_networks(api, issue, address):
    _, text = issue(allowed_networks=OFFICE)
    assert call(api, text, address).status_code == 200


@pytest.mark.parametrize("address", [ELSEWHERE, "2001:db8:2::1", "::ffff:198.51.100.1", "::cb00:7109"])
@pytest.mark.parametrize("path", [CONVERT, "/api/v1/jobs/job_1", "/api/v1/downloads/token"])
def test_from_elsewhere_it_is_refused_on_every_route(api, issue, address, path):
    _, text = issue(allowed_networks=OFFICE)
    response = call(api, text, address, path)
    assert (response.status_code, response.json()["code"]) == (403, "ip_not_allowed")
    assert address.removeprefix("::ffff:") in response.json()["detail"]
    assert response.headers["X-RateLimit-Remaining"] == "0"
    assert "Retry-After" not in response.headers


def test_an_untrusted_hop_cannot_say_that_it_comes_from_there(api, issue):
    _, text = issue(allowed_networks=OFFICE)
    assert call(api, text, ELSEWHERE, **{"X-Forwarded-For": HOME}).status_code == 403
    assert call(api, text, ELSEWHERE, **{"X-Real-Ip": HOME, "Forwarded": f"for={HOME}"}).status_code == 403


def test_behind_a_trusted_proxy_the_clients_own_address_counts(api, issue, settings):
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]
    _, text = issue(allowed_networks=OFFICE)
    assert call(api, text, "10.0.0.1", **{"X-Forwarded-For": f"6.6.6.6, {HOME}"}).status_code == 200
    assert call(api, text, "10.0.0.1", **{"X-Forwarded-For": f"{HOME}, 6.6.6.6"}).status_code == 403


def test_an_allow_list_that_cannot_be_read_lets_nobody_in(api, issue):
    _, text = issue(allowed_networks=["nonsense"])
    assert call(api, text).json()["code"] == "ip_not_allowed"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"status": ApiKey.Status.REVOKED}, "key_revoked"),
        ({"status": ApiKey.Status.SUSPENDED}, "key_suspended"),
    ],
)
def test_what_is_wrong_with_the_key_itself_is_said_first(api, issue, fields, code):
    _, text = issue(allowed_networks=OFFICE, **fields)
    assert call(api, text, ELSEWHERE).json()["code"] == code


def test_a_suspended_keys_downloads_are_had_from_its_networks_alone(api, issue):
    _, text = issue(allowed_networks=OFFICE, status=ApiKey.Status.SUSPENDED)
    statuses = [call(api, text, at, "/api/v1/downloads/token").status_code for at in (HOME, ELSEWHERE)]
    assert statuses == [200, 403]


def test_the_allow_list_comes_before_the_limits(api, issue):
    _, text = issue(allowed_networks=OFFICE, minute_override=1)
    assert [call(api, text).status_code for _ in range(2)] == [200, 429]
    assert call(api, text, ELSEWHERE).status_code == 403


def test_a_refusal_costs_no_sql_and_no_round_trip_and_charges_nothing(
    api, issue, built, django_assert_num_queries, monkeypatch
):
    key, text = issue(allowed_networks=OFFICE)
    call(api, text, ELSEWHERE)
    asked = []
    ask = link.Link.ask
    with monkeypatch.context() as patched:
        patched.setattr(link.Link, "ask", lambda self, *words: asked.append(1) or ask(self, *words))
        with django_assert_num_queries(0):
            for _ in range(60):
                assert call(api, text, ELSEWHERE).status_code == 403
    standing = limit_store().look(of_key(key))
    assert asked == []
    assert (standing.minute_count, standing.day_count, standing.strikes, standing.escalation) == (0, 0, 0, 0)


def test_the_owner_sees_that_somebody_elsewhere_tries_the_key(api, issue, driven_clock):
    key, text = issue(allowed_networks=OFFICE)
    for _ in range(3):
        call(api, text, ELSEWHERE, **{"User-Agent": "stolen/1.0"})
    call(api, text, ELSEWHERE, "/api/v1/jobs/job_1")
    call(api, text, ELSEWHERE, "/api/v1/nothing")
    local_hits().flush()
    standing = standing_of_key(key)
    assert [(hit.kind, hit.route, hit.count) for hit in standing.hits.newest] == [
        ("ip_not_allowed", "convert", 3),
        ("ip_not_allowed", "jobs", 1),
        ("ip_not_allowed", "other", 1),
    ]
    driven_clock.advance(65)
    book_closed_minutes(limit_store())
    hit = RateHit.objects.get(route="convert")
    assert (hit.kind, hit.count, hit.address, hit.user_agent) == (
        *("ip_not_allowed", 3),
        *(ELSEWHERE, "stolen/1.0"),
    )
    assert UsageMinute.objects.get().other_hits == 5


def test_narrowing_the_allow_list_is_felt_by_the_next_request_of_every_process(new_client, issue, owner):
    key, text = issue()
    processes = new_client(), new_client()
    assert [call(api, text, ELSEWHERE).status_code for api in processes] == [200, 200]
    actions.change_allow_list(key, by=owner, revision=None, allowed_networks=OFFICE)
    assert [call(api, text, ELSEWHERE).status_code for api in processes] == [403, 403]


def test_widening_it_is_felt_within_five_seconds_where_it_was_refused(new_client, issue, owner, monkeypatch):
    key, text = issue(allowed_networks=OFFICE)
    now = [1000.0]
    monkeypatch.setattr("usage.guard.known_subjects.time.monotonic", lambda: now[0])
    refused, good = new_client(), new_client()
    assert [call(refused, text, ELSEWHERE).status_code, call(good, text).status_code] == [403, 200]
    actions.change_allow_list(key, by=owner, revision=None, allowed_networks=[*OFFICE, ELSEWHERE])
    assert [call(good, text).status_code, call(good, text, ELSEWHERE).status_code] == [200, 200]
    now[0] += 4.9
    assert call(refused, text, ELSEWHERE).status_code == 403
    now[0] += 0.2
    assert call(refused, text, ELSEWHERE).status_code == 200


def test_a_key_without_one_is_never_asked_where_it_comes_from(api, issue, monkeypatch):
    _, text = issue()
    monkeypatch.setattr("usage.guard.guard.client_address", lambda environ: pytest.fail("asked"))
    assert call(api, text).status_code == 200
