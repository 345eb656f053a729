"""`POST /api/v1/keys/validate`: whether a key is good, for services that are shown one."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from accounts import api_keys
from accounts.keys import actions
from accounts.models import ApiKey, EndpointLimit
from tests.usage.wsgi_client import WsgiClient
from usage.escalation.ladder import Cause
from usage.escalation.reactivation import suspend
from usage.guard.used_secrets import used_secrets
from usage.key_validation import validity_of
from usage.limits import link
from usage.limits.store import limit_store
from usage.limits.upkeep import place
from usage.subjects import of_key

pytestmark = pytest.mark.django_db

VALIDATE = "/api/v1/keys/validate"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
UNKNOWN = {
    "valid": False,
    "code": "invalid_key",
    **dict.fromkeys(("status", "tier", "rehearsal", "key", "expires_at", "escalation")),
}


@pytest.fixture(autouse=True)
def _clock(driven_clock, time_machine):
    time_machine.move_to(NOON, tick=False)
    return driven_clock


def post(body, content_type="application/json", client=Client, **headers):
    sent = body if isinstance(body, bytes | str) else json.dumps(body)
    return client().generic("POST", VALIDATE, sent, content_type=content_type, headers=headers)


def ask(text=None, **fields):
    """The answer about a key that is in the body."""
    response = post({"key": text, **fields} if text is not None else fields)
    assert response.status_code == 200, response.content
    return response.json()


def test_a_good_key_is_told_with_its_tier_and_nothing_of_its_owner(issue, owner):
    owner.name = "Olivia Koala"
    owner.save()
    key, text = issue(expires_at=NOON + HOUR)
    response = post({"key": text})
    assert response.json() == {
        "valid": True,
        "code": None,
        "status": "active",
        "tier": "free",
        "rehearsal": False,
        "key": key.start,
        "expires_at": "2026-03-01T13:00:00Z",
        "escalation": {"tier": 0, "until": None},
    }
    assert b"olivia" not in response.content.lower()
    assert text not in response.content.decode()


@pytest.mark.parametrize(
    ("fields", "code", "status"),
    [
        ({"status": ApiKey.Status.REVOKED}, "key_revoked", "revoked"),
        ({"status": ApiKey.Status.SUSPENDED}, "key_suspended", "suspended"),
        ({"expires_at": NOON}, "key_expired", "expired"),
    ],
)
def test_a_key_that_isnt_good_is_an_answer_that_says_why(issue, fields, code, status):
    key, text = issue(**fields)
    told = ask(text)
    assert (told["valid"], told["code"], told["status"]) == (False, code, status)
    assert (told["key"], told["tier"]) == (key.start, "free")


def test_a_rehearsal_key_is_good_and_marked(issue):
    key, text = issue(is_rehearsal=True)
    told = ask(text)
    assert (told["valid"], told["rehearsal"], told["key"]) == (True, True, key.start)


def test_a_disabled_accounts_key_is_no_longer_good(issue, owner):
    _, text = issue()
    owner.is_active = False
    owner.save()
    assert ask(text)["code"] == "key_revoked"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(api_keys.new_text(), id="unknown"),
        "",
        "koala_",
        "x" * 200,
        "koala_\x00" + "a" * 37,
        "🐨",
        "' OR 1=1 --",
    ],
)
def test_of_a_key_that_we_dont_know_nothing_is_told(text):
    assert ask(text) == UNKNOWN


def test_a_rotated_keys_secrets_are_both_good_until_the_old_one_ends(issue, owner, time_machine):
    key, old = issue()
    key, new = actions.rotate(key, by=owner, revision=None, overlap=HOUR)
    assert [ask(text)["expires_at"] for text in (old, new)] == ["2026-03-01T13:00:00Z", None]
    assert ask(old)["key"] == old[: len(key.start)]
    time_machine.move_to(NOON + HOUR, tick=False)
    assert [(told["valid"], told["code"], told["status"]) for told in map(ask, (old, new))] == [
        (False, "key_expired", "expired"),
        (True, None, "active"),
    ]


def test_a_blocked_key_is_good_and_says_until_when_it_waits(issue, driven_clock):
    key, text = issue(minute_override=1)
    for minute in range(4):
        driven_clock.set(f"2026-03-01T12:0{minute}:00")
        for _ in range(6):
            limit_store().decide(of_key(key), "convert", limit_store().new_lease())
    told = ask(text)
    assert (told["valid"], told["code"], told["status"]) == (True, None, "blocked")
    assert told["escalation"] == {"tier": 2, "until": "2026-03-01T12:08:00Z"}


@pytest.mark.django_db(transaction=True)
def test_a_suspension_of_a_moment_ago_is_known(issue):
    key, text = issue()
    assert ask(text)["valid"]
    suspend(key, by=None, reason="Resold.")
    told = ask(text)
    assert (told["code"], told["escalation"]) == ("key_suspended", {"tier": 5, "until": None})


def test_a_suspension_that_sql_has_yet_to_hear_of_counts(issue, built):
    key, text = issue()
    words = {"order": "1", "cause": Cause.SUSPENDED, "escalation": 5, "grace": 0, "version": 1}
    place(limit_store(), of_key(key).id, **words)
    told = ask(text)
    assert (told["valid"], told["code"], told["status"]) == (False, "key_suspended", "suspended")


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("203.0.113.9", None),
        ("::ffff:203.0.113.9", None),
        ("2001:db8:1::5", None),
        ("198.51.100.1", "ip_not_allowed"),
        ("2001:db8:2::5", "ip_not_allowed"),
    ],
)
def test_the_address_that_is_given_is_held_against_the_allow_list(issue, address, code):
    _, text = issue(allowed_networks=["203.0.113.0/24", "2001:db8:1::/48"])
    told = ask(text, address=address)
    assert (told["valid"], told["code"], told["status"]) == (code is None, code, "active")


def test_nobody_says_from_where_so_the_allow_list_is_left_out(issue):
    _, text = issue(allowed_networks=["203.0.113.0/24"])
    assert ask(text)["valid"]


def test_a_keys_own_fault_is_said_before_where_it_came_from(issue):
    _, text = issue(allowed_networks=["203.0.113.0/24"], status=ApiKey.Status.REVOKED)
    assert ask(text, address="198.51.100.1")["code"] == "key_revoked"


class TestTheRequestsOwnKey:
    @pytest.mark.parametrize("body", ["", "{}", "null", '{"key": null}', '{"address": "203.0.113.9"}'])
    def test_without_another_it_is_meant(self, issue, body):
        key, text = issue()
        response = post(body, **{"X-Api-Key": text})
        assert (response.status_code, response.json()["key"]) == (200, key.start)

    def test_the_bodys_key_wins(self, issue):
        asking, asked = issue()[1], issue(status=ApiKey.Status.REVOKED)
        told = post({"key": asked[1]}, Authorization=f"Bearer {asking}").json()
        assert (told["key"], told["code"]) == (asked[0].start, "key_revoked")

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("client", [Client, WsgiClient])
    def test_a_bad_one_is_refused_as_everywhere(self, issue, client):
        _, good = issue()
        _, revoked = issue(status=ApiKey.Status.REVOKED)
        for text, code in ((revoked, "key_revoked"), (api_keys.new_text(), "invalid_key")):
            response = post({"key": good}, client=client, **{"X-Api-Key": text})
            assert (response.status_code, response.json()["code"]) == (401, code)

    def test_without_any_key_it_is_asked_which(self):
        response = post("{}")
        assert (response.status_code, response.json()["field"]) == (400, "key")


class TestBadInput:
    @pytest.mark.parametrize(
        ("body", "status", "field"),
        [
            ({"key": 7}, 400, "key"),
            ({"key": ["koala_x"]}, 400, "key"),
            ({"key": {"text": "koala_x"}}, 400, "key"),
            ({"key": True}, 400, "key"),
            ({"key": "\ud800"}, 400, "key"),
            ({"key": "k" * 201}, 400, "key"),
            ({"key": "k" * 100_000}, 413, None),
            ({"api_key": "koala_x"}, 400, "api_key"),
            ({"key": "koala_x", "address": "nonsense"}, 400, "address"),
            ({"key": "koala_x", "address": ""}, 400, "address"),
            ({"key": "koala_x", "address": "203.0.113.0/24"}, 400, "address"),
            ({"key": "koala_x", "address": "1.2.3.4.5"}, 400, "address"),
            ({"key": "koala_x", "address": 3405803785}, 400, "address"),
            ({"key": "koala_x", "address": "9" * 50}, 400, "address"),
            ([], 400, "body"),
            ("koala_x", 400, None),
            (b'"koala_x"', 400, "body"),
            (b"7", 400, "body"),
            (b"{", 400, None),
            (b"key=koala_x", 400, None),
            (b'{"key": "\xff"}', 400, None),
            (b'{"key": "koala_x"} trailing', 400, None),
            (b"[" * 4000, 400, None),
            (b'{"a":' * 800, 400, None),
            (b'{"key": NaN}', 400, "key"),
            (b"\x00", 400, None),
        ],
    )
    def test_it_is_refused_in_our_words(self, body, status, field):
        response = post(body)
        assert response.status_code == status, response.content
        assert response.json()["code"] == "invalid_request"
        assert response.json().get("field") == field
        assert "X-RateLimit-Limit" in response.headers

    def test_as_problem_details_for_who_accepts_those(self):
        response = post(b"{", Accept="application/problem+json")
        assert response.headers["Content-Type"] == "application/problem+json"

    def test_a_body_in_chunks_is_told_to_say_its_length(self, issue):
        environ = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
        response = Client().post(VALIDATE, content_type="application/json", **environ)
        assert response.status_code == 411

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_another_method_is_told_the_right_one(self, method):
        response = Client().generic(method, VALIDATE)
        assert (response.status_code, response.headers["Allow"]) == (405, "POST")


def test_asking_charges_nothing_and_carries_the_headers(issue):
    key, text = issue(minute_override=5)
    for _ in range(6):
        response = post({"key": text}, **{"X-Api-Key": text})
        assert response.headers["X-RateLimit-Remaining"] == "5"
    standing = limit_store().look(of_key(key))
    assert (standing.minute_count, standing.day_count) == (0, 0)


def test_a_good_key_that_is_asked_about_is_in_use(issue):
    key, text = issue()
    _, revoked = issue(status=ApiKey.Status.REVOKED)
    for one in (text, revoked):
        ask(one)
    assert list(used_secrets()._waiting) == [key.secrets.get().pk]


@pytest.mark.django_db(transaction=True)
def test_over_its_limit_an_address_waits_whatever_it_asks(issue, driven_clock, time_machine):
    EndpointLimit.objects.get(name="key_validation").delete()
    EndpointLimit.objects.create(name="key_validation", requests=3, seconds=60)
    _, text = issue()
    answers = [post(body).status_code for body in ({"key": text}, b"{", {"key": "koala_x"}, {"key": text})]
    assert answers == [200, 400, 200, 429]
    refused = post({"key": text})
    assert (refused.json()["code"], refused.json()["limit"]) == ("rate_limited", "key_validation")
    assert int(refused.headers["Retry-After"]) >= 1
    elsewhere = Client().generic(
        "POST", VALIDATE, json.dumps({"key": text}), "application/json", REMOTE_ADDR="203.0.113.9"
    )
    assert elsewhere.status_code == 200


def test_while_the_limit_store_is_away_what_sql_knows_is_told(issue, monkeypatch, tmp_path):
    _, text = issue()
    monkeypatch.setattr(limit_store(), "url", f"unix://{tmp_path}/gone.sock")
    monkeypatch.setattr(limit_store(), "_threads", threading.local())
    told = ask(text)
    assert (told["valid"], told["status"], told["escalation"]) == (True, "active", None)


def test_a_key_is_one_query_and_one_round_trip(issue, built, django_assert_num_queries, monkeypatch):
    _, text = issue()
    asked = []
    tell = link.Link.ask
    monkeypatch.setattr(link.Link, "ask", lambda self, *words: asked.append(1) or tell(self, *words))
    with django_assert_num_queries(1):
        assert validity_of(text, None).is_valid
    assert asked == [1]


def test_the_document_describes_it():
    document = Client().get("/api/v1/openapi.json").json()
    operation = document["paths"][VALIDATE]["post"]
    assert {"200", "400", "401", "413", "429"} <= operation["responses"].keys()
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    described = document["components"]["schemas"][answer.rpartition("/")[2]]["properties"]
    expected = {"valid", "code", "status", "tier", "rehearsal", "key", "expires_at", "escalation"}
    assert described.keys() == expected
    assert "ip_not_allowed" in json.dumps(described["code"])
    assert not operation["requestBody"]["required"]
