"""The limit store over connections that go wrong: nothing counts twice, nothing hangs, nobody crashes."""

import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from accounts.tiers import Limits
from tests.proxy import (
    Proxy,
    break_off,
    delay,
    drop,
    hang_up,
    once_in,
    pass_on,
    reset,
    say,
    trickle,
    twice,
)
from tests.usage.clock import Clock
from tests.usage.limits.conftest import NothingRemembered
from usage.escalation.ladder import Cause, Ladder
from usage.guard import guard as guards
from usage.guard import late_settlements
from usage.guard.guard import Admission, Guard
from usage.guard.local_hits import LocalHits
from usage.limits import breaker, upkeep
from usage.limits.link import LimitStoreDown, Link, NotAsked, pack
from usage.limits.store import LimitStore
from usage.limits.upkeep import Tally
from usage.subjects import Subject

TIMEOUT = 0.1
# Twice the timeout for an answer in pieces, one more for a new connection's last words, and a busy machine.
LONGEST = 3 * TIMEOUT + 0.3
THREADS, REQUESTS = 6, 15

SUBJECT = Subject(
    id="k:1",
    limits=Limits(minute=100_000, day=100_000, concurrent=1000, parallel=None, queued=None),
    tier="free",
    tier_revision=1,
)
CONVERT = {"REQUEST_METHOD": "POST", "PATH_INFO": "/api/v1/convert", "REMOTE_ADDR": "203.0.113.7"}


class Known:
    """Everybody is the same guest, so that no database is needed."""

    def by_network(self, network, *, fresh=False):
        return SUBJECT


@pytest.fixture
def proxy(valkey_server, valkey):
    with Proxy(valkey_server) as proxy:
        yield proxy


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def direct(valkey_server, valkey, clock):
    return LimitStore(valkey_server, timeout=2, clock=clock, memory=NothingRemembered())


@pytest.fixture
def guard(proxy, clock, monkeypatch):
    store = LimitStore(proxy.url, timeout=TIMEOUT, clock=clock, memory=NothingRemembered())
    monkeypatch.setattr(guards, "limit_store", lambda: store)
    monkeypatch.setattr(guards, "local_hits", lambda: LocalHits(store))
    store.look(SUBJECT)  # its bucket is built
    return Guard(Known())


@pytest.fixture
def no_breaker(monkeypatch):
    monkeypatch.setattr(breaker, "FAILURES", 1_000_000)


GARBAGE = {
    "words": b"garbage\r\n",
    "OK": b"+OK\r\n",
    "an error": b"-ERR \xff\xfe\r\n",
    "half a text": b"$50\r\nhel",
    "half a list": b"*9\r\n:0\r\n",
    "a short list": b"*3\r\n:1\r\n:2\r\n:3\r\n",
    "a list in a list": b"*9\r\n" + b"*0\r\n" * 9,
    "a number": b":1\r\n",
    "nothing": b"$-1\r\n",
    "zeros": b"\0" * 70_000,
    "a long list": b"*1000000\r\n",
    "a negative text": b"$-7\r\n",
    "several answers": b":1\r\n:2\r\n",
}
WRONG_REPLIES = {
    "dropped": drop,
    "reset": reset,
    "hung up": hang_up,
    "broken off": break_off,
    "late": delay(2 * TIMEOUT),
    "trickling": trickle,
    "twice": twice,
    "garbage": say(GARBAGE["words"]),
    "another answer": say(GARBAGE["a short list"]),
}
WRONG_REQUESTS = {
    "dropped": drop,
    "reset": reset,
    "hung up": hang_up,
    "broken off": break_off,
    "late": delay(2 * TIMEOUT),
}


class Outcome:
    """What clients on several threads were told, and the longest that anything took."""

    def __init__(self):
        self.admitted = self.refused = 0
        self.longest = 0.0
        self._lock = threading.Lock()

    def ask(self, guard, environ=CONVERT):
        checked = self._timed(lambda: guard.check(environ))
        if isinstance(checked, Admission):
            self._timed(lambda: guard.settle(checked, 200))
        with self._lock:
            if isinstance(checked, Admission):
                self.admitted += 1
            else:
                self.refused += 1
                assert (checked.status, checked.headers["Retry-After"]) == (503, "2")

    def _timed(self, do):
        began = time.monotonic()
        done = do()
        self.longest = max(self.longest, time.monotonic() - began)
        return done


def ask_in_parallel(guard, proxy, *, meanwhile=lambda: None):
    """Many requests on several threads, over connections that go wrong; then some over good ones."""
    outcome = Outcome()
    together = threading.Barrier(THREADS)

    def client():
        for _ in range(REQUESTS):
            outcome.ask(guard)
            meanwhile()
        together.wait(30)
        proxy.request = proxy.reply = pass_on
        for _ in range(2):  # whoever has a broken connection left notices
            outcome.ask(guard)

    with ThreadPoolExecutor(THREADS) as pool:
        for future in [pool.submit(client) for _ in range(THREADS)]:
            future.result()
    deadline = time.monotonic() + 5
    while not guard._late.settle() and time.monotonic() < deadline:
        time.sleep(0.01)
    return outcome


def soon(look, wanted):
    """What `look` gives, once what is under way has arrived."""
    deadline = time.monotonic() + 2
    while (seen := look()) != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    return seen


def books(store):
    """Charged in the minute, in the day, places held, and requests booked as admitted."""
    standing = store.look(SUBJECT)
    minute = standing.now // 60
    ((booked,),) = store.booked([(SUBJECT.id, "convert", "admitted")], [minute]).values()
    return standing.minute_count, standing.day_count, standing.in_flight, booked


def assert_counted(store, admitted):
    """So many, everywhere, and none holds a place any more."""
    wanted = admitted, admitted, 0, admitted
    assert soon(lambda: books(store), wanted) == wanted


@pytest.mark.parametrize("wrong", WRONG_REPLIES.values(), ids=WRONG_REPLIES)
def test_whatever_becomes_of_replies_each_request_counts_as_it_was_answered(
    guard, direct, proxy, no_breaker, wrong
):
    proxy.reply = once_in(4, wrong)
    outcome = ask_in_parallel(guard, proxy)
    assert outcome.refused > 0
    assert_counted(direct, outcome.admitted)
    assert outcome.longest < LONGEST


@pytest.mark.parametrize("wrong", WRONG_REQUESTS.values(), ids=WRONG_REQUESTS)
def test_whatever_becomes_of_requests_each_counts_as_it_was_answered(guard, direct, proxy, no_breaker, wrong):
    proxy.request = once_in(7, wrong)
    outcome = ask_in_parallel(guard, proxy)
    assert outcome.refused > 0
    assert_counted(direct, outcome.admitted)
    assert outcome.longest < LONGEST


def test_scripts_that_are_forgotten_in_between_count_nothing_twice(guard, direct, proxy, no_breaker, valkey):
    proxy.reply = once_in(5, hang_up)
    outcome = ask_in_parallel(guard, proxy, meanwhile=lambda: valkey.script_flush())
    assert outcome.refused > 0
    assert_counted(direct, outcome.admitted)


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_no_answer(guard, direct, proxy, garbage):
    outcome = Outcome()
    outcome.ask(guard)
    proxy.reply = say(garbage)
    outcome.ask(guard)
    proxy.reply = pass_on
    outcome.ask(guard)
    guard._late.settle()
    assert (outcome.admitted, outcome.refused) == (2, 1)
    assert_counted(direct, 2)
    assert outcome.longest < LONGEST


def test_a_request_that_was_not_even_sent_leaves_nothing_to_take_back(guard, proxy):
    outcome = Outcome()
    guard._store._link().close()
    proxy.__exit__()
    for _ in range(5):
        outcome.ask(guard)
    assert outcome.refused == 5
    assert not guard._late._waiting


def test_once_the_breaker_is_open_nobody_waits_for_a_silent_store(guard, proxy):
    outcome = Outcome()
    proxy.reply = drop
    for _ in range(breaker.FAILURES):
        outcome.ask(guard)
    began = time.monotonic()
    for _ in range(200):
        outcome.ask(guard)
    assert time.monotonic() - began < 1
    assert outcome.longest < LONGEST


def test_a_place_whose_return_was_not_heard_is_returned_once_the_store_is_back(guard, direct, proxy):
    """On another thread than the one that finds out."""
    admission = guard.check(CONVERT)
    proxy.request = drop
    guard.settle(admission, 200)
    assert books(direct)[2] == 1
    with ThreadPoolExecutor(1) as pool:
        pool.submit(Outcome().ask, guard).result()
    proxy.request = pass_on
    assert guard._late.settle()
    assert_counted(direct, 1)


def test_half_a_command_is_no_request(proxy, valkey):
    link = Link(proxy.url, TIMEOUT)
    assert link.ask(pack(("INCR", "n"))) == 1
    link._socket.close()
    with pytest.raises(NotAsked):
        link.ask(pack(("INCR", "n")))
    assert link.ask(pack(("INCR", "n"))) == 2


def test_an_answer_that_comes_in_pieces_is_heard(proxy, valkey):
    def in_two(target, words):
        target.sendall(words[:2])
        time.sleep(0.03)
        target.sendall(words[2:])

    link = Link(proxy.url, TIMEOUT)
    link.ask(pack(("SET", "text", "x" * 100)))
    proxy.reply = in_two
    assert link.ask(pack(("GET", "text"))) == b"x" * 100


def test_last_words_follow_a_question_that_got_no_answer(proxy, valkey):
    link = Link(proxy.url, TIMEOUT)
    link.ask(pack(("PING",)))
    for wrong in (drop, hang_up, reset, break_off, say(b"garbage\r\n"), twice):
        proxy.reply = wrong
        valkey.set("n", 0)
        with pytest.raises(LimitStoreDown):
            link.ask(pack(("INCR", "n")), lambda: pack(("INCRBY", "n", "10")))
        proxy.reply = pass_on
        assert soon(lambda: valkey.get("n"), b"11") == b"11"


# --- What is asked beside requests, by redis-py's own client -----------------------------------------------


CALLS = {
    "place": lambda store: upkeep.place(
        store, "k:1", order=secrets.token_hex(4), cause=Cause.SUSPENDED, escalation=5, grace=0, version=1
    ),
    "build": lambda store: upkeep.build(store, 1, "life", {"free": 1}, [], Ladder()),
    "tally": lambda store: upkeep.tally(
        store, secrets.token_hex(4), 1, [Tally("k:1", 1, "convert", "blocked", 1)]
    ),
    "clock": lambda store: store.client.time(),
    "samples": lambda store: store.samples_of_bucket(1, [1, 2]),
    "announce": lambda store: store.announce_key("k:1", 1),
    "settle": lambda store: store.settle_surely([(SUBJECT, "convert", "lease", "")]),
}


@pytest.mark.parametrize(
    "wrong",
    [drop, reset, hang_up, break_off, pytest.param(say(b"garbage\r\n"), id="garbage")],
)
@pytest.mark.parametrize("way", ["request", "reply"])
def test_beside_requests_everything_ends_within_a_second_or_so_as_a_redis_error(proxy, way, wrong):
    def call(ask):
        store = LimitStore(proxy.url, timeout=TIMEOUT)
        ask(store)  # connects
        together.wait(10)
        setattr(proxy, way, wrong)
        began = time.monotonic()
        with pytest.raises(redis.RedisError):
            ask(store)
        return time.monotonic() - began

    together = threading.Barrier(len(CALLS))
    with ThreadPoolExecutor(len(CALLS)) as pool:
        took = [future.result() for future in [pool.submit(call, ask) for ask in CALLS.values()]]
    assert max(took) < 1.5


@pytest.mark.parametrize("wrong", [drop, hang_up, reset, break_off])
def test_beside_requests_nothing_is_tried_twice(proxy, valkey, wrong):
    store = LimitStore(proxy.url, timeout=TIMEOUT)
    store.client.ping()
    for number, increment in enumerate(
        (lambda: store.client.incr("n"), lambda: store.client.pipeline().incr("n").execute()), start=1
    ):
        proxy.reply = wrong
        with pytest.raises(redis.RedisError):
            increment()
        assert int(valkey.get("n")) == number
        proxy.reply = pass_on
        store.client.ping()


def test_late_settlements_go_on_after_an_error_of_any_kind(guard, direct, monkeypatch):
    def broken(settlements):
        raise MemoryError

    monkeypatch.setattr(late_settlements, "RETRY_SECONDS", 0.01)
    admission = guard.check(CONVERT)
    with monkeypatch.context() as patched:
        patched.setattr(guard._store, "settle_surely", broken)
        guard._late.add((SUBJECT, "convert", admission.lease, ""))
        time.sleep(0.05)
    assert_counted(direct, 1)
