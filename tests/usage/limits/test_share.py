"""A process's own share of the minute's limit, while nobody can count for all of them."""

import pytest

from usage.limits import share
from usage.limits.share import LocalShares


@pytest.fixture
def clock():
    class Seconds:
        now = 1_800_000_000.0  # a minute's start

        def __call__(self):
            return self.now

    return Seconds()


@pytest.fixture
def shares(clock):
    return LocalShares(clock)


def admitted(shares, subject, times):
    return sum(shares.take(subject) is None for _ in range(times))


@pytest.mark.parametrize(
    ("limit", "processes", "share"),
    [(30, 1, 30), (30, 4, 7), (3, 4, 1), (1, 4, 1), (0, 1, 0), (0, 4, 0), (None, 4, 50)],
)
def test_a_process_admits_its_part_of_the_limit(shares, subject, settings, limit, processes, share):
    settings.WEB_WORKERS = processes
    assert admitted(shares, subject(minute=limit), 50) == share


def test_what_is_over_it_is_told_when_the_next_minute_begins(shares, subject, clock, settings):
    settings.WEB_WORKERS = 1
    clock.now += 47.9
    assert [shares.take(subject(minute=1)) for _ in range(2)] == [None, 13]
    clock.now += 13
    assert shares.take(subject(minute=1)) is None


def test_each_subject_has_its_own(shares, subject, settings):
    settings.WEB_WORKERS = 1
    assert [admitted(shares, subject(f"k:{number}", minute=5), 9) for number in range(3)] == [5, 5, 5]


def test_no_more_subjects_are_kept_than_there_is_room_for(shares, subject, settings, monkeypatch):
    settings.WEB_WORKERS = 1
    monkeypatch.setattr(share, "CAPACITY", 3)
    taken = [admitted(shares, subject(f"k:{number}", minute=2), 3) for number in range(5)]
    assert taken == [2, 2, 2, 0, 0]
    assert len(shares._taken) == 3
