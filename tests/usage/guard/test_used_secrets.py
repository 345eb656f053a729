"""When a secret is used, a process remembers the minute and brings it to a real store in the background."""

import os

import pytest
import redis

from accounts.models import ApiKey
from tests.proxy import Proxy, drop, pass_on
from usage.guard import used_secrets as module
from usage.guard.guard import Guard
from usage.guard.known_subjects import KnownSubjects
from usage.guard.local_hits import LocalHits
from usage.guard.used_secrets import UsedSecrets, used_secrets
from usage.limits import last_uses, link
from usage.limits.store import LimitStore, limit_store

NOON = 1_772_366_400  # 2026-03-01 12:00 UTC
CONVERT = "/api/v1/convert"


@pytest.fixture
def used(driven_clock):
    return UsedSecrets(limit_store(), LocalHits(limit_store()))


def waiting():
    return last_uses.waiting(limit_store(), 1000)


def test_a_use_arrives_to_the_minute(used):
    used.note(7, NOON + 59)
    assert used.flush()
    assert waiting() == {7: NOON}


def test_only_the_first_use_in_a_minute_leaves_a_word(used, monkeypatch):
    brought = []
    bring = module.bring
    monkeypatch.setattr(module, "bring", lambda store, uses: brought.append(uses) or bring(store, uses))
    for second in (0, 20, 59, 60, 61):
        used.note(7, NOON + second)
        used.flush()
    assert brought == [{7: NOON // 60}, {7: NOON // 60 + 1}]


def test_a_use_that_comes_late_never_undoes_a_newer_one(used, driven_clock):
    used.note(7, NOON + 300)
    used.flush()
    other = UsedSecrets(limit_store(), LocalHits(limit_store()))
    other.note(7, NOON)
    other.flush()
    assert waiting() == {7: NOON + 300}


def test_it_leaves_the_store_by_itself_within_two_days(used, valkey):
    used.note(7, NOON)
    used.flush()
    (key,) = valkey.keys("kp1:*:used")
    assert 0 < valkey.ttl(key) <= 2 * 86_400


def test_many_secrets_all_arrive(used, monkeypatch):
    monkeypatch.setattr(module, "AT_A_TIME", 300)
    monkeypatch.setattr(last_uses, "AT_A_TIME", 2)
    for secret in range(1, 1001):
        used.note(secret, NOON)
    assert used.flush()
    assert waiting() == dict.fromkeys(range(1, 1001), NOON)
    assert used._waiting == {}


@pytest.fixture
def through_a_proxy(valkey_server, driven_clock):
    with Proxy(valkey_server) as proxy:
        store = LimitStore(proxy.url, timeout=1, clock=driven_clock)
        store.client.ping()  # the connection is there before anything goes wrong
        used = UsedSecrets(store, LocalHits(store))
        used.proxy = proxy
        yield used


def test_while_the_store_is_away_uses_wait(through_a_proxy):
    used = through_a_proxy
    used.proxy.request = drop
    used.note(7, NOON)
    assert not used.flush()
    used.note(8, NOON)
    used.note(7, NOON + 60)
    used.proxy.request = pass_on
    assert used.flush()
    assert waiting() == {7: NOON + 60, 8: NOON}


def test_a_use_whose_reply_was_lost_is_said_again_and_is_the_same(through_a_proxy):
    used = through_a_proxy
    used.note(7, NOON)
    used.proxy.reply = drop
    assert not used.flush()
    used.proxy.reply = pass_on
    assert used.flush()
    assert waiting() == {7: NOON}


def test_what_waits_and_what_is_remembered_is_bounded(used, monkeypatch):
    monkeypatch.setattr(module, "CAPACITY", 10)
    for secret in range(1, 26):
        used.note(secret, NOON)
    assert (len(used._waiting), len(used._noted)) == (10, 10)
    used.flush()
    # Whom there was no room for is taken with the next request.
    used.note(25, NOON)
    used.flush()
    assert waiting() == dict.fromkeys([*range(1, 11), 25], NOON)
    assert len(used._noted) <= 10


def test_an_ending_process_brings_what_waits_and_then_each_use_as_it_happens(used):
    used.note(7, NOON)
    used.end()
    used.note(8, NOON)
    assert waiting() == {7: NOON, 8: NOON}


def test_it_goes_by_the_thread_that_brings_hits_and_ends_with_it(driven_clock):
    hits = LocalHits(limit_store())
    used = UsedSecrets(limit_store(), hits)
    used.note(7, NOON)
    hits._end_all()
    assert waiting() == {7: NOON}


def test_a_forked_child_leaves_its_parents_uses_to_the_parent(used):
    used.note(7, NOON)
    child = os.fork()
    if child == 0:
        try:
            used.flush()
            used.note(8, NOON)
            used.flush()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert waiting() == {8: NOON}
    used.flush()
    assert waiting() == {7: NOON, 8: NOON}


def test_a_store_that_refuses_the_words_loses_none_of_them(used, monkeypatch):
    def refused(store, uses):
        raise redis.ResponseError("OOM command not allowed when used memory > 'maxmemory'.")

    used.note(7, NOON)
    with monkeypatch.context() as patched:
        patched.setattr(module, "bring", refused)
        assert not used.flush()
    assert used.flush()
    assert waiting() == {7: NOON}


# --- What the guard counts as a use ---------------------------------------------------------------------


@pytest.fixture
def guard(built, driven_clock):
    return Guard(KnownSubjects())


def ask(guard, text, path=CONVERT, method="POST", address="203.0.113.9"):
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "REMOTE_ADDR": address}
    return guard.check(environ | ({"HTTP_X_API_KEY": text} if text else {}))


def uses():
    used_secrets().flush()
    return waiting()


def test_each_secret_of_a_key_has_its_own_last_use(guard, issue, driven_clock):
    from accounts import api_keys

    key, old = issue()
    new = api_keys.give_new_secret(key)
    first, second = key.secrets.order_by("pk")
    ask(guard, old)
    driven_clock.set("2026-03-01T12:05:30")
    ask(guard, new)
    assert uses() == {first.pk: NOON, second.pk: NOON + 300}


@pytest.mark.parametrize(
    ("path", "method"), [("/api/v1/jobs/job_1", "GET"), ("/api/v1/nothing", "GET"), (CONVERT, "POST")]
)
def test_a_request_over_its_limit_or_on_any_route_is_a_use(guard, issue, path, method):
    key, text = issue(minute_override=1)
    ask(guard, text)
    used_secrets()._start_over()
    ask(guard, text, path, method)
    assert list(uses()) == [key.secrets.get().pk]


def test_a_blocked_key_is_used_on(guard, issue, driven_clock, monkeypatch):
    key, text = issue(minute_override=1)
    for minute in range(4):
        driven_clock.set(f"2026-03-01T12:0{minute}:00")
        for _ in range(6):
            ask(guard, text)
    uses()
    monkeypatch.setattr("usage.guard.known_blocks.KnownBlocks.recall", recall_later(120))
    assert ask(guard, text).status == 429
    assert uses() == {key.secrets.get().pk: NOON + 300}


def recall_later(seconds):
    from usage.guard.known_blocks import KnownBlocks

    recall = KnownBlocks.recall

    def later(self, *words):
        block = recall(self, *words)
        return block and block._replace(now=block.now + seconds)

    return later


@pytest.mark.parametrize(
    "fields",
    [
        {"status": ApiKey.Status.REVOKED},
        {"status": ApiKey.Status.SUSPENDED},
        {"allowed_networks": ["192.0.2.0/24"]},
    ],
)
def test_a_refused_key_is_not_used(guard, issue, fields):
    _, text = issue(**fields)
    ask(guard, text)
    assert uses() == {}


def test_a_guest_uses_no_secret(guard):
    ask(guard, None)
    assert uses() == {}


def test_without_the_store_a_use_waits_for_it(guard, issue, monkeypatch):
    key, text = issue()
    with monkeypatch.context() as patched:
        patched.setattr(link.Link, "ask", lambda *words: (_ for _ in ()).throw(link.LimitStoreDown("away")))
        ask(guard, text, "/api/v1/jobs/job_1", "GET")
    assert list(uses()) == [key.secrets.get().pk]


def test_a_use_costs_the_request_no_sql_and_no_round_trip(
    guard, issue, django_assert_num_queries, monkeypatch
):
    _, text = issue()
    ask(guard, text)
    used_secrets()._start_over()
    monkeypatch.setattr(limit_store().client, "execute_command", lambda *words: pytest.fail("asked"))
    with django_assert_num_queries(0):
        ask(guard, text)
    assert len(used_secrets()._waiting) == 1
