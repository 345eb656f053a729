"""Endpoint limits hold over all web processes together, and each feels within 2 s what staff change."""

import time

import pytest

from accounts.models import EndpointLimit
from tests.usage.web_process import AnotherProcess

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]


def change(name, requests):
    limit = EndpointLimit.objects.get(name=name)
    limit.requests, limit.seconds = (
        requests,
        86_400,
    )  # no window ends while this runs, but at one second of a day
    limit.save()
    return time.monotonic()


@pytest.fixture
def two():
    with AnotherProcess() as one, AnotherProcess() as other:
        yield one, other


def seconds_until(process, status, since):
    while process.ask("made-up") != status:
        assert time.monotonic() - since < 5
        time.sleep(0.02)  # another process has a clock of its own
    return time.monotonic() - since


@pytest.mark.once
def test_two_processes_count_as_one_and_both_feel_a_change_within_two_seconds(two):
    change("key_validation", 50)
    answers = [process.ask("made-up") for _ in range(26) for process in two]
    assert answers == [401] * 50 + [429] * 2

    # Raised: it lets in whom both knew to be over it.
    since = change("key_validation", 1_000_000)
    assert max(seconds_until(process, 401, since) for process in two) < 2
    # Lowered, as soon.
    since = change("key_validation", 3)
    assert max(seconds_until(process, 429, since) for process in two) < 2
