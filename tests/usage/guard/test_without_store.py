"""The guard while the limit store is away: what goes on, what doesn't, and what is said of it."""

import json
import logging
import time

import pytest
from django.db import OperationalError

from accounts.tiers import Limits
from tests.proxy import Proxy, drop, pass_on, reset
from tests.usage.clock import Clock
from tests.usage.limits.conftest import NothingRemembered
from usage import routes, tasks
from usage.guard import guard as guards
from usage.guard.guard import Admission, Guard
from usage.guard.local_hits import LocalHits
from usage.limits import health
from usage.limits.breaker import FAILURES
from usage.limits.store import LimitStore
from usage.routes import ApiRoute
from usage.subjects import Subject

LIMITS = Limits(minute=4, day=1000, concurrent=5, parallel=3, queued=200)
SUBJECT = Subject(id="k:1", limits=LIMITS, tier="free", tier_revision=1, key_start="koala_abc")


class Known:
    def by_network(self, network, *, fresh=False):
        return SUBJECT


@pytest.fixture
def proxy(valkey_server, valkey):
    with Proxy(valkey_server) as proxy:
        yield proxy


@pytest.fixture
def store(proxy):
    clock = Clock()
    clock.microseconds = time.time_ns() // 1000
    return LimitStore(proxy.url, timeout=0.1, clock=clock, memory=NothingRemembered())


@pytest.fixture
def hits(store):
    return LocalHits(store)


@pytest.fixture
def ask(store, hits, monkeypatch, time_machine):
    """Asks the guard for a path; `/api/v1/count` is charged and starts no job."""
    time_machine.move_to(store.now(), tick=False)
    monkeypatch.setitem(
        routes._exact, ("POST", "/api/v1/count"), ApiRoute("count", "POST", "/api/v1/count", charged=True)
    )
    monkeypatch.setattr(guards, "limit_store", lambda: store)
    monkeypatch.setattr(guards, "local_hits", lambda: hits)
    guard = Guard(Known())

    def check(path, method="POST"):
        checked = guard.check({"REQUEST_METHOD": method, "PATH_INFO": path, "REMOTE_ADDR": "203.0.113.7"})
        if isinstance(checked, Admission):
            guard.settle(checked, 200)
        return checked

    return check


@pytest.fixture
def away(proxy, store, ask):
    store.look(SUBJECT)
    proxy.request = drop
    for _ in range(FAILURES):
        ask("/api/v1/conversions", "GET")
    assert store.breaker.is_open


def booked(store, route):
    """Of all minutes: outcome -> n."""
    usage = store.usage_of_bucket(SUBJECT.bucket, [store.now() // 60])
    return {field[2]: n for one in usage.values() for field, n in one.items() if field[1] == route}


def test_a_charged_route_that_starts_no_job_goes_on_within_the_share(ask, away, settings, store):
    settings.WEB_WORKERS = 2
    checked = [ask("/api/v1/count") for _ in range(3)]
    assert [isinstance(one, Admission) for one in checked] == [True, True, False]
    assert set(checked[0].headers) == {"X-RateLimit-Limit", "RateLimit-Policy"}
    refused = checked[2]
    wait = 60 - store.now() % 60
    assert (refused.status, refused.headers["Retry-After"]) == (429, str(wait))
    assert "RateLimit" not in refused.headers
    assert json.loads(refused.body) == {
        "error": "Rate limit exceeded",
        "retry_after": wait,
        "code": "rate_limited",
        "limit": "minute",
        "detail": "4 requests per minute, fewer while limits are checked in a hurry; "
        f"the next window opens in {wait} s.",
    }


def test_what_went_on_and_what_was_refused_is_counted_once_the_store_is_back(
    ask, away, settings, store, hits, proxy
):
    settings.WEB_WORKERS = 1
    for _ in range(6):
        ask("/api/v1/count")
        ask("/api/v1/convert")
    proxy.request = pass_on
    assert hits.flush()
    assert booked(store, "count") == {"admitted": 4, "minute": 2}
    assert booked(store, "convert") == {"unavailable": 6}


def test_a_known_block_holds(ask, store, proxy):
    for _ in range(4):
        for _ in range(10):
            ask("/api/v1/convert")
        store._clock.advance(60)
    assert json.loads(ask("/api/v1/convert").body)["code"] == "cooldown"
    proxy.request = drop
    for _ in range(FAILURES + 2):
        assert json.loads(ask("/api/v1/convert").body)["code"] == "cooldown"


def test_a_block_that_was_lifted_does_not_come_back_with_an_outage(ask, store, proxy, monkeypatch):
    for _ in range(4):
        for _ in range(10):
            ask("/api/v1/convert")
        store._clock.advance(60)
    assert json.loads(ask("/api/v1/convert").body)["code"] == "cooldown"
    monkeypatch.setattr("usage.guard.known_blocks.SECONDS", 0)
    monkeypatch.setattr("usage.guard.known_blocks.KnownBlocks.recall.__defaults__", (0,))
    store._clock.advance(600)
    assert isinstance(ask("/api/v1/convert"), Admission)
    proxy.request = drop
    assert json.loads(ask("/api/v1/convert").body)["code"] == "limits_unavailable"


def test_an_outage_is_said_once_and_its_end_once(ask, store, proxy, caplog):
    store.look(SUBJECT)
    caplog.set_level(logging.INFO)
    proxy.request = drop
    for _ in range(500):
        ask("/api/v1/convert")
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("The limit store did not answer: ")
    assert said[1].startswith("The limit store is down: ")
    proxy.request = pass_on
    store.breaker._next_probe = 0
    for _ in range(3):
        ask("/api/v1/conversions", "GET")
    assert [record.getMessage() for record in caplog.records][2:] == ["The limit store is back"]


def test_pages_find_out_within_a_second_and_do_not_ask_for_each(store, proxy, monkeypatch):
    monkeypatch.setattr(health, "REMEMBERED_SECONDS", 0.05)
    found = health.Health(store)
    assert not found.is_down()
    proxy.request = drop
    time.sleep(0.06)
    began = time.monotonic()
    assert found.is_down()
    assert time.monotonic() - began < 1
    proxy.request = pass_on
    assert found.is_down()
    time.sleep(0.06)
    assert not found.is_down()


def test_the_worker_says_once_that_it_waits_for_the_store(store, proxy, monkeypatch, caplog):
    monkeypatch.setattr(tasks, "limit_store", lambda: store)
    proxy.request = reset
    for _ in range(4):
        assert tasks._with_the_store(lambda store: store.client.dbsize() + 1) == 0
    proxy.request = pass_on
    for _ in range(2):
        assert tasks._with_the_store(lambda store: store.client.dbsize() + 1) > 0
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_the_worker_says_once_that_it_waits_for_the_database(store, monkeypatch, caplog):
    def ask(database_is_away):
        if database_is_away:
            raise OperationalError("connection refused")
        return 1

    monkeypatch.setattr(tasks, "limit_store", lambda: store)
    for away, done in ((True, 0), (True, 0), (False, 1), (False, 1)):
        assert tasks._with_the_store(lambda store, away=away: ask(away)) == done
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
