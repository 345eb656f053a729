"""`GET /api/v1/usage` tells a client what the usage page tells its owner."""

import threading

import pytest
import redis
import time_machine
from django.test import Client

from accounts.models import ApiKey
from usage.books.booking import book_closed_minutes
from usage.hits import RECENT_HITS
from usage.limits.store import limit_store
from usage.subjects import bucket_of

pytestmark = pytest.mark.django_db(transaction=True)

USAGE = "/api/v1/usage"


@pytest.fixture(autouse=True)
def _clock(driven_clock):
    return driven_clock


@pytest.fixture
def ask():
    """The answer's body, to a key or to an address."""

    def ask(text=None):
        response = Client().get(USAGE, headers={"X-Api-Key": text} if text else {})
        assert response.status_code == 200, response.content
        return response.json()

    return ask


def call(text, times=1):
    headers = {"X-Api-Key": text} if text else {}
    return [Client().post("/api/v1/convert", headers=headers).status_code for _ in range(times)]


def test_it_tells_a_key_how_it_stands(ask, issue, driven_clock):
    key, text = issue(day_override=100)
    driven_clock.set("2026-03-01T12:00:30")
    assert call(text, 33).count(429) == 3
    body = ask(text)
    assert (body["live"], body["key"], body["tier"], body["now"]) == (
        True,
        key.start,
        "free",
        "2026-03-01T12:00:30Z",
    )
    assert body["limits"] == {"minute": 30, "day": 100, "concurrent": 5, "parallel": 3, "queued": 200}
    assert body["quotas"] == [
        {"kind": "day", "used": 30, "limit": 100, "left": 70, "resets_at": "2026-03-02T00:00:00Z"},
        {"kind": "minute", "used": 30, "limit": 30, "left": 0, "resets_at": "2026-03-01T12:01:00Z"},
        {"kind": "concurrent", "used": 0, "limit": 5, "left": 5, "resets_at": None},
        {"kind": "parallel", "used": 0, "limit": 3, "left": 3, "resets_at": None},
        {"kind": "queued", "used": 0, "limit": 200, "left": 200, "resets_at": None},
    ]
    assert body["escalation"] == {
        "tier": 1,
        "name": "Standard",
        "until": None,
        "reason": "3 requests were refused in one minute, over the minute's limit.",
        "strikes": 0,
        "strikes_to_next_tier": 3,
        "next": "3 strikes lead to an Extended cooldown of 5 minutes.",
        "eases_at": "2026-03-01T12:11:00Z",
    }
    assert body["hits_24h"] == {
        "total": 3,
        "newest": [{"time": "2026-03-01T12:00:00Z", "route": "convert", "kind": "minute", "count": 3}],
    }
    assert [len(body["series"][name]) for name in ("minutes", "hours", "days")] == [60, 24, 30]
    for name, start in (("minutes", "12:00:00"), ("hours", "12:00:00"), ("days", "00:00:00")):
        assert body["series"][name][-1] == {"start": f"2026-03-01T{start}Z", "admitted": 30, "refused": 3}


def test_it_tells_an_address_how_it_stands(ask):
    call(None, 11)
    body = ask()
    assert (body["key"], body["tier"], body["limits"]["minute"]) == (None, "anonymous", 10)
    assert body["quotas"][1]["used"] == 10
    assert body["hits_24h"]["total"] == 1


def test_asking_is_free_and_carries_the_headers(issue):
    _, text = issue(minute_override=2)
    for _ in range(5):
        response = Client().get(USAGE, headers={"X-Api-Key": text})
        assert (response.status_code, response.headers["X-RateLimit-Remaining"]) == (200, "2")


def test_it_never_tells_of_another_key(ask, issue):
    _, mine = issue()
    _, theirs = issue()
    call(theirs, 31)
    body = ask(mine)
    assert (body["quotas"][0]["used"], body["hits_24h"]["total"]) == (0, 0)
    assert not any(point["admitted"] or point["refused"] for point in body["series"]["hours"])


def test_it_is_the_same_before_and_after_booking(ask, issue, driven_clock):
    _, text = issue()
    for _ in range(3):
        call(text, 31)
        driven_clock.advance(60)
    driven_clock.advance(5)
    before = ask(text)
    assert book_closed_minutes(limit_store()) > 0
    assert ask(text) == before


def test_a_blocked_key_gets_its_answer(ask, issue, driven_clock):
    _, text = issue(minute_override=1)
    for _ in range(4):
        call(text, 8)
        driven_clock.advance(60)
    assert call(text) == [429]
    body = ask(text)
    assert (body["escalation"]["tier"], body["escalation"]["name"]) == (2, "Extended cooldown")
    assert body["escalation"]["until"] > body["now"]
    assert "cooldown" in {hit["kind"] for hit in body["hits_24h"]["newest"]}


@pytest.mark.parametrize(
    ("status", "code"),
    [(ApiKey.Status.SUSPENDED, (403, "key_suspended")), (ApiKey.Status.REVOKED, (401, "key_revoked"))],
)
def test_a_key_that_is_refused_gets_none(issue, status, code):
    _, text = issue(status=status)
    response = Client().get(USAGE, headers={"X-Api-Key": text})
    assert (response.status_code, response.json()["code"]) == code


def test_of_many_hits_it_lists_the_newest_and_counts_all(ask, issue, driven_clock, valkey):
    key, text = issue()
    subject = f"k:{key.pk}"
    for minute in range(RECENT_HITS + 20):
        name = f"kp1:{{{bucket_of(subject)}}}:u:{driven_clock.seconds // 60}"
        valkey.hset(name, f"{subject}|convert|minute", minute + 1)
        driven_clock.advance(60)
    hits = ask(text)["hits_24h"]
    book_closed_minutes(limit_store())
    assert ask(text)["hits_24h"] == hits
    assert [hit["count"] for hit in hits["newest"]] == list(range(RECENT_HITS + 20, 20, -1))
    assert hits["total"] == sum(range(RECENT_HITS + 21))


def test_without_the_limit_store_it_tells_what_is_booked(ask, issue, driven_clock, monkeypatch, tmp_path):
    _, text = issue()
    call(text, 31)
    driven_clock.advance(65)
    book_closed_minutes(limit_store())
    gone = tmp_path / "gone.sock"
    monkeypatch.setattr(limit_store(), "url", f"unix://{gone}")
    monkeypatch.setattr(limit_store(), "client", redis.Redis(unix_socket_path=str(gone)))
    monkeypatch.setattr(limit_store(), "_threads", threading.local())
    with time_machine.travel(driven_clock.seconds, tick=False):
        body = ask(text)
    assert (body["live"], body["escalation"]) == (False, None)
    assert body["quotas"][0] == {"kind": "day", "used": None, "limit": 1000, "left": None, "resets_at": None}
    assert body["hits_24h"]["total"] == 1
    assert [point["admitted"] for point in body["series"]["minutes"][-2:]] == [30, 0]


def test_the_document_describes_it():
    document = Client().get("/api/v1/openapi.json").json()
    operation = document["paths"][USAGE]["get"]
    assert {"200", "401", "403"} <= operation["responses"].keys()
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    described = document["components"]["schemas"][schema.rpartition("/")[2]]["properties"]
    assert described.keys() == {
        *("now", "live", "key", "tier", "rehearsal", "limits", "quotas", "escalation", "hits_24h", "series")
    }
