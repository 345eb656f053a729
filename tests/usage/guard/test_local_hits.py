"""Hits that a process refused itself, brought to a real store on a clock that stands still."""

import multiprocessing
import os
import signal
import time

import pytest
import redis

from tests.proxy import Proxy, drop, pass_on
from usage.books.booking import _text
from usage.guard import local_hits, process_end
from usage.guard.last_refusals import Hurry
from usage.guard.local_hits import LocalHits
from usage.limits.store import LimitStore, limit_store
from usage.subjects import bucket_of

BEGIN = LocalHits.begin  # which other tests go without
GUEST = {"REMOTE_ADDR": "203.0.113.7", "HTTP_USER_AGENT": "curl/8.5"}


@pytest.fixture
def hits(driven_clock):
    return LocalHits(limit_store())


@pytest.fixture
def minute(driven_clock):
    return driven_clock.seconds // 60


def blocked(minute, subject="k:7", route="convert", outcome="blocked"):
    return subject, minute, route, outcome


def counted(minute, subject="k:7"):
    """What the store has of one bucket's minute: (route, outcome) -> n."""
    usage = limit_store().usage_of_bucket(bucket_of(subject), [minute]).get(minute, {})
    return {field[1:]: n for field, n in usage.items()}


def sampled(minute, subject="k:7"):
    samples = limit_store().samples_of_bucket(bucket_of(subject), [minute]).get(minute, {})
    return {field[1:]: sample for field, sample in samples.items()}


def test_hits_arrive_in_the_minute_they_happened_in(hits, minute, driven_clock):
    for _ in range(3):
        hits.count(blocked(minute), GUEST)
    hits.count(blocked(minute, outcome="cooldown"), GUEST)
    driven_clock.set("2026-03-01T12:01:02")
    hits.count(blocked(minute + 1), GUEST)
    assert hits.flush()
    assert counted(minute) == {("convert", "blocked"): 3, ("convert", "cooldown"): 1}
    assert counted(minute + 1) == {("convert", "blocked"): 1}


def test_the_most_impatient_sample_stays_whoever_refused_it(hits, minute):
    hits.count(blocked(minute), GUEST, Hurry(60, 50))
    hits.sample(blocked(minute), {**GUEST, "HTTP_USER_AGENT": "patient/1"}, Hurry(60, 200))
    assert hits.flush()
    assert sampled(minute) == {("convert", "blocked"): "203.0.113.7\ncurl/8.5\n60\n50"}


def test_a_minute_the_books_may_have_closed_takes_no_more_in(hits, minute, driven_clock):
    hits.count(blocked(minute), GUEST)
    driven_clock.set("2026-03-01T12:01:05")
    hits.flush()
    assert (counted(minute), counted(minute + 1)) == ({}, {("convert", "blocked"): 1})


def test_a_process_whose_clock_is_ahead_counts_in_the_present(hits, minute):
    hits.count(blocked(minute + 3), GUEST)
    hits.flush()
    assert counted(minute) == {("convert", "blocked"): 1}


def test_nothing_is_brought_twice(hits, minute):
    hits.count(blocked(minute), GUEST)
    assert [hits.flush() for _ in range(3)] == [True] * 3
    assert counted(minute) == {("convert", "blocked"): 1}


@pytest.fixture
def proxy(valkey_server):
    with Proxy(valkey_server) as proxy:
        yield proxy


@pytest.fixture
def through_the_proxy(proxy, driven_clock):
    store = LimitStore(proxy.url, timeout=1, clock=driven_clock)
    store.client.ping()  # the connection is there before anything goes wrong
    return LocalHits(store)


def test_a_batch_whose_reply_was_lost_counts_once(through_the_proxy, proxy, minute):
    hits = through_the_proxy
    hits.count(blocked(minute), GUEST)
    proxy.reply = drop
    assert not hits.flush()
    assert counted(minute) == {("convert", "blocked"): 1}
    proxy.reply = pass_on
    hits.count(blocked(minute), GUEST)
    assert hits.flush()
    assert counted(minute) == {("convert", "blocked"): 2}


def test_while_the_store_is_away_hits_wait_and_none_is_left_behind_at_the_end(
    through_the_proxy, proxy, minute, caplog
):
    hits = through_the_proxy
    proxy.request = drop
    hits.count(blocked(minute), GUEST)
    assert not hits.flush()
    hits.count(blocked(minute), GUEST)
    proxy.request = pass_on
    hits.end()
    assert counted(minute) == {("convert", "blocked"): 2}
    assert not caplog.records


def test_an_ending_process_brings_each_hit_as_it_happens(hits, minute):
    hits.end()
    hits.count(blocked(minute), GUEST)
    assert counted(minute) == {("convert", "blocked"): 1}


def test_what_an_ending_process_cannot_bring_is_said(through_the_proxy, proxy, minute, caplog):
    for _ in range(3):
        through_the_proxy.count(blocked(minute), GUEST)
    proxy.__exit__()
    through_the_proxy.end()
    assert "3 hits are lost" in caplog.text


def test_what_waits_is_bounded_and_what_is_not_counted_is_said(
    through_the_proxy, proxy, minute, monkeypatch, caplog
):
    monkeypatch.setattr(local_hits, "CAPACITY", 10)
    hits = through_the_proxy
    for number in range(25):
        hits.count(blocked(minute, f"ip:203.0.113.{number}"), GUEST)
        hits.count(blocked(minute, "ip:203.0.113.0"), GUEST)
    assert len(hits._waiting) == 10
    hits.flush()
    assert "15 hits were not counted" in caplog.text
    assert counted(minute, "ip:203.0.113.0")["convert", "blocked"] == 26


def test_many_hits_go_in_batches(hits, minute, valkey, monkeypatch):
    monkeypatch.setattr(local_hits, "TALLIES_AT_A_TIME", 7)
    for number in range(50):
        hits.count(blocked(minute, route=f"route{number}"), GUEST)
    assert hits.flush()
    assert counted(minute) == {(f"route{number}", "blocked"): 1 for number in range(50)}
    assert len(valkey.keys("kp1:*:done:*")) == 8


def test_a_forked_child_leaves_what_its_parent_counted_to_the_parent(hits, minute):
    hits.count(blocked(minute), GUEST)
    child = os.fork()
    if child == 0:
        try:
            hits.flush()
            hits.count(blocked(minute, outcome="cooldown"), GUEST)
            hits.flush()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert counted(minute) == {("convert", "cooldown"): 1}
    hits.flush()
    assert counted(minute) == {("convert", "cooldown"): 1, ("convert", "blocked"): 1}


def count_and(end, url, clock, minute, counted):
    """In a forked process, as granian's are, whose thread would bring hits once in a minute."""
    LocalHits.begin = BEGIN
    local_hits.FLUSH_SECONDS = 60
    signal.set_wakeup_fd(-1)
    # Python's own handler only runs when the main thread has time for it.
    signal.signal(signal.SIGTERM, lambda *signal: None)
    process_end.listen()
    hits = LocalHits(LimitStore(url, timeout=1, clock=clock))
    hits.count(blocked(minute), GUEST)
    time.sleep(0.1)  # its thread has begun
    counted.set()
    end()


FORK = multiprocessing.get_context("fork")


@pytest.fixture
def counting(driven_clock, minute):
    counted = FORK.Event()
    children = []

    def start(end):
        words = (end, limit_store().url, driven_clock, minute, counted)
        child = FORK.Process(target=count_and, args=words)
        children.append(child)
        child.start()
        assert counted.wait(10)
        return child

    yield start
    for child in children:
        child.kill()
        child.join()


def test_a_forked_process_that_ends_brings_its_hits(counting, minute):
    counting(lambda: None).join(10)
    assert counted(minute) == {("convert", "blocked"): 1}


def test_a_process_that_is_too_busy_to_end_brings_its_hits_before_it_is_killed(counting, minute):
    child = counting(lambda: time.sleep(60))
    assert counted(minute) == {}
    child.terminate()
    deadline = time.monotonic() + 5
    while not counted(minute) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert counted(minute) == {("convert", "blocked"): 1}
    assert child.is_alive()


def test_one_sample_is_kept_of_each_hit_whoever_counted_it(hits, minute):
    for agent in ("first", "second"):
        hits.sample(blocked(minute, outcome="minute"), {**GUEST, "HTTP_USER_AGENT": agent})
        hits.count(blocked(minute), {**GUEST, "HTTP_USER_AGENT": agent})
        hits.flush()
    assert sampled(minute) == {
        ("convert", "minute"): "203.0.113.7\nfirst",
        ("convert", "blocked"): "203.0.113.7\nfirst",
    }
    # What the store refused itself, it has counted itself.
    assert counted(minute) == {("convert", "blocked"): 2}


def test_a_sample_is_brought_once_in_a_process(hits, minute, valkey):
    for _ in range(3):
        hits.sample(blocked(minute, outcome="minute"), GUEST)
        hits.flush()
    assert len(valkey.keys("kp1:*:done:*")) == 1


def test_the_sample_is_of_the_request_that_waited_for_the_least(hits, minute):
    for agent, hurry in (
        ("patient", None),
        ("hasty", Hurry(34, 900)),
        ("hastier", Hurry(34, 200)),
        ("hasty again", Hurry(34, 500)),
        ("patient again", None),
    ):
        hits.sample(blocked(minute, outcome="minute"), {**GUEST, "HTTP_USER_AGENT": agent}, hurry)
        hits.count(blocked(minute), {**GUEST, "HTTP_USER_AGENT": agent}, hurry)
    hits.flush()
    kept = "203.0.113.7\nhastier\n34\n200"
    assert sampled(minute) == {("convert", "minute"): kept, ("convert", "blocked"): kept}
    assert counted(minute) == {("convert", "blocked"): 5}


def test_so_it_is_whichever_process_brings_it_and_whenever(hits, minute):
    others = LocalHits(limit_store())
    for process, agent, hurry in (
        (hits, "patient", None),
        (others, "hasty", Hurry(34, 900)),
        (hits, "hastier", Hurry(34, 200)),
        (others, "hasty again", Hurry(34, 500)),
        (others, "patient again", None),
    ):
        process.sample(blocked(minute, outcome="minute"), {**GUEST, "HTTP_USER_AGENT": agent}, hurry)
        process.flush()
    assert sampled(minute) == {("convert", "minute"): "203.0.113.7\nhastier\n34\n200"}


def test_a_sample_that_comes_too_late_is_none_of_another_minutes(hits, minute, driven_clock):
    hits.sample(blocked(minute, outcome="minute"), GUEST, Hurry(34, 200))
    driven_clock.advance(120)
    hits.flush()
    assert (sampled(minute), sampled(minute + 2)) == ({}, {})


def test_no_client_can_claim_a_wait_by_its_name(hits, minute):
    hits.count(blocked(minute), {**GUEST, "HTTP_USER_AGENT": "curl\n34\n1"})
    hits.flush()
    assert sampled(minute) == {("convert", "blocked"): "203.0.113.7\ncurl 34 1"}


def test_behind_a_trusted_proxy_the_sample_has_the_clients_address(hits, minute, settings):
    from ipaddress import ip_network

    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]
    environ = {"REMOTE_ADDR": "10.0.0.5", "HTTP_X_FORWARDED_FOR": "6.6.6.6, 198.51.100.9, 10.0.0.4"}
    hits.count(blocked(minute), environ)
    hits.flush()
    assert sampled(minute) == {("convert", "blocked"): "198.51.100.9\n"}


def as_wsgi(agent: bytes) -> str:
    return agent.decode("latin-1")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"a\x00b\x1b[31mc\x7f", "ab[31mc"),
        (b"x" * 100_000, "x" * 200),
        ("🐨".encode() * 300, "🐨" * 200),
        ("Zoë".encode(), "Zoë"),
        (b"\xff\xfe not UTF-8", "�� not UTF-8"),
        (b"\xed\xa0\x80 half an emoji", "��� half an emoji"),
        (b"a|b\tc", "a|bc"),
        (b"", ""),
    ],
)
def test_whatever_a_client_calls_itself_is_text_that_a_column_takes(hits, minute, sent, kept):
    hits.count(blocked(minute), {**GUEST, "HTTP_USER_AGENT": as_wsgi(sent)})
    assert hits.flush()
    (sample,) = sampled(minute).values()
    address, _, agent = sample.partition("\n")
    assert (address, _text(agent, 200)) == ("203.0.113.7", kept)


def test_a_store_that_refuses_the_words_loses_none_of_them(hits, minute, monkeypatch):
    """It answers with an error where its memory is full, or it is a replica."""

    def refused(*words):
        raise redis.ResponseError("OOM command not allowed when used memory > 'maxmemory'.")

    hits.count(blocked(minute), GUEST)
    with monkeypatch.context() as patched:
        patched.setattr(limit_store().client, "eval", refused)
        assert not hits.flush()
    assert hits.flush()
    assert counted(minute) == {("convert", "blocked"): 1}
