"""A limit store that forgot everything while panels run: it frees nobody, and counts go on from the books."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client

from accounts.models import ApiKey, Tier
from tests.proxy import Proxy, drop, pass_on
from tests.servers import limit_store as new_server
from tests.servers import valkey_binary
from tests.usage.web_process import AnotherProcess
from tests.usage.wsgi_client import WsgiClient
from usage.books.booking import book_closed_minutes
from usage.escalation.following import follow_changes
from usage.escalation.memory import SqlMemory
from usage.escalation.reactivation import suspend
from usage.limits.kinds import Verdict
from usage.limits.link import LimitStoreDown
from usage.limits.store import LimitStore, keys_of, limit_store
from usage.models import EscalationState
from usage.subjects import of_key

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.usage.api_urls")]

CONVERT = "/api/v1/convert"


@pytest.fixture(autouse=True)
def _clock(driven_clock):
    return driven_clock


@pytest.fixture(params=[Client, WsgiClient], ids=["middleware", "wsgi"])
def api(request):
    client = request.param(raise_request_exception=False)
    return lambda text: client.post(CONVERT, headers={"Authorization": f"Bearer {text}"})


def climb_to_a_day_block(key, clock):
    """Bad minutes, one after the other, and the rest between them as the ladder gives it."""
    subject, number = of_key(key), 0
    while (decision := limit_store().look(subject)).escalation < 4:
        if decision.is_blocked:
            clock.advance(decision.escalation_until - decision.now)
        for _ in range(6):
            number += 1
            decision = limit_store().decide(subject, "convert", f"climb{key.pk}.{number}")
        clock.advance(60)
    return decision


@pytest.fixture
def blocked_key(issue, driven_clock):
    """A key, and its text, in a 24-hour block that began by the store's own clock."""
    key, text = issue(minute_override=1)
    driven_clock.microseconds = int((time.time() - 4500) * 1_000_000)
    climb_to_a_day_block(key, driven_clock)
    follow_changes(limit_store())
    assert EscalationState.objects.get(key=key).escalation == 4
    assert EscalationState.objects.get(key=key).until > datetime.fromtimestamp(time.time() + 80_000, UTC)
    return key, text


@pytest.fixture
def blocked(blocked_key):
    return blocked_key[1]


@pytest.fixture
def suspended_key(issue):
    key, text = issue()
    suspend(key, by=None, reason="for the test")
    return key, text


@pytest.fixture
def suspended(suspended_key):
    return suspended_key[1]


def another_store(url, clock, timeout=2):
    """As another process has it, which has asked before."""
    store = LimitStore(url, timeout=timeout, memory=SqlMemory(), clock=clock)
    store.reload_ladder()
    return store


def test_neither_a_blocked_nor_a_suspended_key_is_admitted_afterwards_by_any_process(
    api, issue, blocked, suspended, valkey, monkeypatch
):
    monkeypatch.setattr(limit_store(), "_clock", None)
    _, good = issue()
    with AnotherProcess() as another:
        for _ in range(2):
            assert [another.ask(text, CONVERT, "POST") for text in (blocked, suspended)] == [429, 403]
            assert [api(text).status_code for text in (good, blocked, suspended)] == [200, 429, 403]
            valkey.flushall()
        assert [another.ask(text, CONVERT, "POST") for text in (blocked, suspended)] == [429, 403]
        assert api(blocked).json()["code"] == "blocked"
        assert api(suspended).json()["code"] == "key_suspended"
        assert int(api(blocked).headers["Retry-After"]) > 80_000


def test_a_block_that_no_process_remembers_comes_back_from_sql(blocked, valkey, monkeypatch):
    monkeypatch.setattr(limit_store(), "_clock", None)
    valkey.flushall()
    answer = WsgiClient().post(CONVERT, headers={"Authorization": f"Bearer {blocked}"})
    assert (answer.status_code, answer.json()["code"]) == (429, "blocked")


def test_the_days_count_goes_on_from_what_is_booked(issue, driven_clock, valkey):
    key, _ = issue(concurrent_override=100)
    subject = of_key(key)
    for minute in range(3):
        for number in range(5):
            limit_store().decide(subject, "convert", f"{minute}.{number}")
        driven_clock.advance(60)
    driven_clock.advance(10)
    book_closed_minutes(limit_store())
    limit_store().decide(subject, "convert", "not booked")
    assert limit_store().look(subject).day_count == 16
    valkey.flushall()
    assert limit_store().look(subject).day_count == 15
    assert limit_store().decide(subject, "convert", "next").day_count == 16


def test_a_lowered_tier_is_felt_by_a_process_that_read_it_before(api, issue, valkey):
    _, text = issue()
    assert api(text).headers["X-RateLimit-Limit"] == "30"
    tier = Tier.objects.get(slug="free")
    tier.minute = 7
    tier.save()
    valkey.flushall()
    assert api(text).headers["X-RateLimit-Limit"] == "7"


def test_a_revoked_key_is_felt_by_a_process_that_read_it_before(api, issue, valkey):
    key, text = issue()
    assert api(text).status_code == 200
    key.status = ApiKey.Status.REVOKED
    key.save()
    valkey.flushall()
    assert (api(text).status_code, api(text).json()["code"]) == (401, "key_revoked")


def test_scripts_that_are_flushed_cost_a_client_nothing(api, issue, valkey):
    _, text = issue()
    for left in (29, 28, 27):
        valkey.script_flush()
        assert api(text).headers["X-RateLimit-Remaining"] == str(left)


def test_processes_that_build_a_bucket_at_once_build_one(blocked_key, issue, driven_clock, valkey):
    key, _ = issue(minute_override=4)
    held, _ = blocked_key
    stores = [another_store(limit_store().url, driven_clock) for _ in range(8)]
    valkey.flushall()
    together = threading.Barrier(len(stores))

    def ask(number, store):
        together.wait()
        try:
            return [store.decide(of_key(one), "convert", f"{one.pk}.{number}").verdict for one in (key, held)]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(stores)) as pool:
        verdicts = list(pool.map(ask, range(len(stores)), stores))
    assert [held for _, held in verdicts] == [Verdict.BLOCKED] * 8
    assert [good for good, _ in verdicts].count(Verdict.ADMITTED) == 4
    # Another life would have its changes read from the beginning.
    life = valkey.hget(keys_of(of_key(held).id)[2], "*life")
    SqlMemory().build(limit_store(), of_key(held).bucket)
    assert valkey.hget(keys_of(of_key(held).id)[2], "*life") == life


def test_a_store_that_goes_silent_while_a_bucket_is_built_holds_nobody_up_for_long(
    issue, valkey_server, driven_clock
):
    """However many threads wait for it."""
    key, _ = issue()
    with Proxy(valkey_server) as proxy:
        store = another_store(proxy.url, driven_clock, timeout=0.5)
        answers = itertools.count(1)
        proxy.reply = lambda target, words: (pass_on if next(answers) <= 6 else drop)(target, words)

        def ask(number):
            began = time.monotonic()
            with pytest.raises(LimitStoreDown):
                store.decide(of_key(key), "convert", str(number))
            took = time.monotonic() - began
            connections.close_all()
            return took

        with ThreadPoolExecutor(6) as pool:
            assert max(pool.map(ask, range(6))) < 2.5


def test_a_server_that_is_started_anew_and_empty_frees_nobody(blocked_key, suspended_key, driven_clock):
    socket = Path(settings.VAR_DIR) / "emptied.limits"
    (held, _), (stuck, _) = blocked_key, suspended_key
    stuck.refresh_from_db()
    with new_server(valkey_binary(), socket) as url:
        store = another_store(url, driven_clock)
        assert store.decide(of_key(held), "convert", "1").verdict is Verdict.BLOCKED
    with new_server(valkey_binary(), socket):
        # A connection that was silent for less than a second isn't looked at before it is used.
        store._link().close()
        assert store.decide(of_key(held), "convert", "2").verdict is Verdict.BLOCKED
        assert store.decide(of_key(stuck), "convert", "3").verdict is Verdict.SUSPENDED
