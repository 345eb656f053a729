"""When the worker last did its work is written down, and not more often than anybody needs to know."""

from datetime import UTC, datetime

import pytest
from django.db import OperationalError

from usage import tasks
from usage.models import TaskRun
from usage.task_runs import BOOK, FOLLOW

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def run(task):
    """As the worker does: its signals are sent."""
    task.apply(throw=True)


@pytest.fixture
def nothing_to_do(monkeypatch):
    monkeypatch.setattr(tasks, "_or_later", lambda do, *needs: 0)


@pytest.mark.usefixtures("nothing_to_do")
class TestNoting:
    def test_it_says_when_each_of_both_was_done(self, time_machine):
        time_machine.move_to(NOON, tick=False)
        for task in (tasks.book_closed_minutes, tasks.follow_changes, tasks.send_mail):
            run(task)
        assert dict(TaskRun.objects.values_list("name", "at")) == {BOOK: NOON, FOLLOW: NOON}

    def test_within_some_seconds_it_writes_once(self, time_machine, django_assert_num_queries):
        time_machine.move_to(NOON, tick=False)
        run(tasks.follow_changes)
        time_machine.shift(9)
        with django_assert_num_queries(1):
            run(tasks.follow_changes)
        time_machine.shift(2)
        run(tasks.follow_changes)
        assert (TaskRun.objects.get().at - NOON).total_seconds() == 11

    def test_a_database_that_is_away_is_no_error_of_the_task(self, monkeypatch):
        def fail(*_, **__):
            raise OperationalError("gone")

        monkeypatch.setattr(TaskRun.objects, "filter", fail)
        run(tasks.follow_changes)
        assert not TaskRun.objects.exists()


def test_a_task_that_failed_has_not_run(monkeypatch):
    def fail(*_):
        raise RuntimeError

    monkeypatch.setattr(tasks, "_or_later", fail)
    with pytest.raises(RuntimeError):
        run(tasks.book_closed_minutes)
    assert not TaskRun.objects.exists()
