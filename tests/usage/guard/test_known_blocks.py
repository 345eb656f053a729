"""Blocks that a process remembers, on clocks of the test's own."""

import math

import pytest

from accounts.tiers import Limits
from usage.guard import known_blocks
from usage.guard.known_blocks import KnownBlocks
from usage.limits.decision import Decision
from usage.limits.kinds import Verdict

LIMITS = Limits(minute=30, day=1000, concurrent=5, parallel=3, queued=200)
NOW = 1_800_000_030  # half a minute into a minute


def blocked(seconds=300, now=NOW):
    return Decision(Verdict.BLOCKED, LIMITS, now, 30, 400, 1, 2, now + seconds, 0, "life:1-0")


class Seconds:
    now = 50.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Seconds()


@pytest.fixture
def blocks(clock):
    return KnownBlocks(clock)


def test_whoever_is_blocked_is_refused_with_the_seconds_that_are_left(blocks, clock):
    blocks.remember("k:1", blocked(300))
    clock.now += 2.5
    known = blocks.recall("k:1")
    assert (known.retry_after, known.outcome, known.change) == (298, "cooldown", "")
    assert blocks.recall("k:2") is None


def test_it_is_forgotten_soon_enough_for_a_reactivation_to_be_felt(blocks, clock):
    blocks.remember("k:1", blocked())
    clock.now += 4.1
    assert blocks.recall("k:1") is None


def test_without_the_store_it_holds_until_its_end_and_no_longer(blocks, clock):
    blocks.remember("k:1", blocked(300))
    clock.now += 299
    assert blocks.recall("k:1", math.inf).retry_after == 1
    clock.now += 1
    assert blocks.recall("k:1", math.inf) is None


def test_a_block_that_the_store_no_longer_knows_of_doesnt_come_back_with_an_outage(blocks, clock):
    blocks.remember("k:1", blocked(3600))
    clock.now += 60
    blocks.forget("k:1")
    assert blocks.recall("k:1", math.inf) is None


def test_counts_of_a_minute_or_day_that_is_over_are_not_told_of_the_next(blocks, clock):
    blocks.remember("k:1", blocked(90_000))
    clock.now += 29
    assert blocks.recall("k:1", math.inf)[3:5] == (30, 400)
    clock.now += 1
    assert blocks.recall("k:1", math.inf)[3:5] == (0, 400)
    clock.now += 86_400
    assert blocks.recall("k:1", math.inf)[3:5] == (0, 0)


def test_whoever_came_first_goes_when_it_is_full(blocks, monkeypatch):
    monkeypatch.setattr(known_blocks, "CAPACITY", 3)
    for number in range(5):
        blocks.remember(f"k:{number}", blocked())
        blocks.remember("k:0", blocked())  # renewed: it isn't the oldest any more
    assert [number for number in range(5) if blocks.recall(f"k:{number}")] == [0, 3, 4]
