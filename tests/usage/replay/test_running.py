"""A replay is asked for by a page, run once by the worker, and ends, whatever becomes of the worker."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from accounts.models import Tier
from usage import tasks
from usage.books import retention
from usage.models import Replay
from usage.replay import numbers, running
from usage.subjects import key_subject_id

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 8, 15, 30, tzinfo=UTC)
WAITING, RUNNING, DONE, FAILED = Replay.Status


@pytest.fixture(autouse=True)
def woken(monkeypatch):
    """How often the worker was told."""
    calls = []
    monkeypatch.setattr(running, "wake_worker", lambda: calls.append(1))
    return calls


@pytest.fixture
def ask(owner):
    """Asks for a replay of the free tier with some of its limits changed."""

    def start(**proposed):
        current = numbers.of_limits(Tier.objects.get(slug="free").limits)
        return running.start("tier", "free", current, current | proposed, owner)

    return start


def test_a_replay_waits_until_the_worker_has_run_it(
    ask, issue, record, woken, django_capture_on_commit_callbacks
):
    record(key_subject_id(issue()[0].pk), datetime(2026, 3, 3, tzinfo=UTC), admitted=25)
    with django_capture_on_commit_callbacks(execute=True):
        asked = ask(minute=20)
    assert (asked.status, woken) == (WAITING, [1])
    assert running.run_next(NOW) == 1
    asked.refresh_from_db()
    assert (asked.status, asked.progress, asked.error) == (DONE, 100, "")
    assert asked.started_at <= asked.ended_at or asked.started_at == NOW
    assert asked.result["proposed"]["limited"] == 1
    assert running.run_next(NOW) == 0


def test_the_same_question_is_asked_once(ask):
    first = ask(minute=20)
    assert ask(minute=20) == first
    assert ask(minute=21) != first
    running.run_next(NOW)
    assert ask(minute=20) == first


def test_after_a_while_or_a_failure_it_is_asked_anew(ask):
    first = ask(minute=20)
    Replay.objects.update(status=FAILED)
    second = ask(minute=20)
    assert second != first
    Replay.objects.update(asked_at=timezone.now() - running.FRESH)
    assert ask(minute=20) not in (first, second)


def test_the_newest_are_kept(ask, monkeypatch):
    monkeypatch.setattr(running, "KEPT", 3)
    asked = [ask(minute=minute) for minute in range(1, 6)]
    assert set(Replay.objects.all()) == set(asked[-3:])


def test_they_are_forgotten_after_a_month(ask):
    ask()
    assert retention.forget_what_is_old(timezone.now() + timedelta(days=29)) == 0
    assert retention.forget_what_is_old(timezone.now() + timedelta(days=31)) == 1


def test_one_runs_at_a_time_and_the_oldest_comes_first(ask, woken):
    first, second = ask(minute=20), ask(minute=21)
    assert running._claim(NOW) == first
    assert running.run_next(NOW) == 0
    Replay.objects.filter(pk=first.pk).update(status=DONE)
    assert running.run_next(NOW) == 1
    second.refresh_from_db()
    assert second.status == DONE


def test_whoever_has_run_one_wakes_the_worker_for_the_next(ask, woken):
    ask(minute=20), ask(minute=21)
    running.run_next(NOW)
    assert woken == [1]
    running.run_next(NOW)
    assert woken == [1]


def test_a_run_whose_worker_is_gone_is_begun_again_and_given_up_the_second_time(ask):
    asked = ask(minute=20)
    running._claim(NOW)
    assert running.run_next(NOW + running.LOST - timedelta(seconds=1)) == 0
    later = NOW + running.LOST
    running._recover(later)
    asked.refresh_from_db()
    assert (asked.status, asked.error) == (WAITING, running.CUT_SHORT)
    running._claim(later)
    running._recover(later + running.LOST)
    asked.refresh_from_db()
    assert (asked.status, asked.error) == (FAILED, running.GIVEN_UP)


def test_one_that_was_begun_again_can_be_done(ask):
    asked = ask(minute=20)
    running._claim(NOW)
    assert running.run_next(NOW + running.LOST) == 1
    asked.refresh_from_db()
    assert (asked.status, asked.error) == (DONE, "")


def test_progress_is_written_at_most_once_a_second(ask, monkeypatch, django_assert_num_queries):
    ask()
    run = running._Run(running._claim(NOW))
    seconds = [100.0]
    monkeypatch.setattr(running.time, "monotonic", lambda: seconds[0])
    run._told_at = 100.0
    with django_assert_num_queries(0):
        run.tell(0.1)
    seconds[0] = 101.0
    run.tell(0.42)
    assert Replay.objects.get().progress == 42
    with django_assert_num_queries(0):
        run.tell(0.5)
    seconds[0] = 102.5
    run.tell(1)
    assert Replay.objects.get().progress == 99


def test_a_run_that_another_one_took_over_stops_and_writes_nothing(ask, monkeypatch):
    ask(minute=20)

    def long(*_, **__):
        Replay.objects.update(started_at=NOW + timedelta(minutes=3))
        run._told_at -= 2
        run.tell(0.5)

    run = running._Run(running._claim(NOW))
    with pytest.raises(running.Superseded):
        long()
    run.end(FAILED, error="late")
    assert Replay.objects.get().status == RUNNING


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (SoftTimeLimitExceeded(), running.TOO_LONG),
        (ZeroDivisionError(), running.BROKEN),
        (Tier.DoesNotExist(), running.NO_TIER),
    ],
    ids=["too long", "broken", "no tier"],
)
def test_a_failure_is_told_in_words(ask, monkeypatch, raised, says):
    asked = ask()

    def fail(*_):
        raise raised

    monkeypatch.setattr(running, "replay", fail)
    with contextlib.suppress(ZeroDivisionError):
        assert running.run_next(NOW) == 1
    asked.refresh_from_db()
    assert (asked.status, asked.error) == (FAILED, says)
    assert asked.ended_at is not None


def test_a_tier_that_was_removed_meanwhile_is_told(ask, owner):
    asked = running.start("tier", "gone", {"minute": 1}, {"minute": 2}, owner)
    running.run_next(NOW)
    asked.refresh_from_db()
    assert asked.error == running.NO_TIER


def test_the_worker_runs_what_beat_finds(ask):
    ask()
    assert tasks.run_replay() == 1
    assert Replay.objects.get().status == DONE
