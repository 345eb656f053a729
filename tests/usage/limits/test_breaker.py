"""The circuit breaker, on a clock of the test's own."""

import threading

import pytest

from usage.limits.breaker import FAILURES, PROBE_SECONDS, Breaker


class Seconds:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Seconds()


@pytest.fixture
def breaker(clock):
    return Breaker(clock)


@pytest.fixture
def opened(breaker):
    for _ in range(FAILURES):
        breaker.failed()
    return breaker


def test_single_failures_leave_it_closed(breaker):
    for _ in range(10):
        for _ in range(FAILURES - 1):
            assert breaker.failed() is False
        assert breaker.allows()
        breaker.succeeded()
    assert not breaker.is_open


def test_some_failures_in_a_row_open_it_and_that_is_told_once(breaker):
    assert [breaker.failed() for _ in range(FAILURES + 2)] == [False] * (FAILURES - 1) + [True, False, False]
    assert breaker.is_open
    assert not breaker.allows()


def test_while_it_is_open_one_a_second_may_ask(opened, clock):
    clock.now += PROBE_SECONDS - 0.01
    assert not opened.allows()
    clock.now += 0.02
    assert [opened.allows() for _ in range(3)] == [True, False, False]
    clock.now += PROBE_SECONDS + 0.01
    assert [opened.allows() for _ in range(3)] == [True, False, False]


def test_a_probe_that_fails_begins_the_second_anew(opened, clock):
    clock.now += PROBE_SECONDS + 0.01
    assert opened.allows()
    clock.now += 0.5
    opened.failed()
    clock.now += PROBE_SECONDS - 0.1
    assert not opened.allows()


def test_a_probe_that_succeeds_closes_it_and_that_is_told_once(opened, clock):
    clock.now += PROBE_SECONDS + 0.01
    assert opened.allows()
    assert [opened.succeeded(), opened.succeeded()] == [True, False]
    assert all(opened.allows() for _ in range(5))


def test_of_many_threads_one_may_probe(opened, clock):
    clock.now += PROBE_SECONDS + 0.01
    allowed = []
    together = threading.Barrier(16)

    def ask():
        together.wait()
        allowed.append(opened.allows())

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(allowed) == [False] * 15 + [True]
