"""Notes when the worker last came to the end of what beat asks of it again and again: a sign of life of both.

A write for each run would be one every second; some seconds are near enough.
"""

from datetime import timedelta
from typing import Any

from celery.signals import task_success
from django.db import Error
from django.utils import timezone

from usage.models import TaskRun

BOOK, FOLLOW = "usage.book_closed_minutes", "usage.follow_changes"
NOTED = frozenset({BOOK, FOLLOW})
NEAR_ENOUGH = timedelta(seconds=10)


def note(sender: Any = None, **_: Any) -> None:
    """Bring the row of a task that ended up to date, if that is one of those which are noted."""
    name = getattr(sender, "name", "")
    if name not in NOTED:
        return
    now = timezone.now()
    try:
        if TaskRun.objects.filter(pk=name, at__gt=now - NEAR_ENOUGH).exists():
            return
        TaskRun.objects.bulk_create(
            [TaskRun(name=name, at=now)],
            update_conflicts=True,
            unique_fields=["name"],
            update_fields=["at"],
        )
    except Error:
        # Whoever looks sees an older time, which is true: the worker gets nothing done.
        return


task_success.connect(note)
