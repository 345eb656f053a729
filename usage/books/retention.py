"""How long SQL keeps what happened, and how it forgets: in portions, so that no lock is held for long."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from accounts.account import sessions
from accounts.identity import grants
from accounts.models import Letter
from usage.models import (
    CounterReset,
    EscalationEvent,
    HitTotal,
    Notice,
    RateHit,
    Replay,
    UsageDay,
    UsageHour,
    UsageMinute,
    UsageTotal,
)
from usage.spans import hour_start

MINUTES_KEPT = timedelta(days=7)
HOURS_KEPT = timedelta(days=90)
DAYS_KEPT = timedelta(days=400)
RESETS_KEPT = timedelta(days=2)
HITS_KEPT = timedelta(days=90)
CHANGES_KEPT = timedelta(days=400)
NOTICES_KEPT = timedelta(days=30)
REPLAYS_KEPT = timedelta(days=30)
# Empty ones: what a letter said leaves with its delivery (`accounts.models.letter`).
SENT_LETTERS_KEPT = timedelta(days=7)
GIVEN_UP_LETTERS_KEPT = timedelta(days=30)

PORTION = 2_000  # rows that one DELETE removes: some 20 ms
LONGEST_RUN = 150.0  # seconds; the queue would give a task of 210 to another worker as well


def forget_what_is_old(now: datetime) -> int:
    """Remove what has been kept for its time, and give the number of rows.

    A run that takes too long stops, and the next one goes on. So does one after a run that was killed.
    """
    stop_at = time.monotonic() + LONGEST_RUN
    removed = 0
    for old in _old(now):
        while time.monotonic() < stop_at:
            rows = old.model._default_manager.filter(pk__in=old.values("pk")[:PORTION]).delete()[0]
            removed += rows
            if rows < PORTION:
                break
    return removed


def _old(now: datetime) -> Iterator[QuerySet[Any]]:
    """What is to be removed, the oldest first, so that an index finds it."""
    # Whole hours: the books sum up an hour from its minutes, so it has all of them or none.
    minutes = hour_start(now - MINUTES_KEPT)
    yield UsageMinute.objects.filter(start__lt=minutes).order_by("start")
    yield UsageHour.objects.filter(start__lt=now - HOURS_KEPT).order_by("start")
    yield UsageDay.objects.filter(start__lt=now - DAYS_KEPT).order_by("start")
    yield UsageTotal.objects.filter(start__lt=now - DAYS_KEPT).order_by("start")
    yield HitTotal.objects.filter(start__lt=now - DAYS_KEPT).order_by("start")
    yield CounterReset.objects.filter(day__lt=now - RESETS_KEPT).order_by("day")
    yield RateHit.objects.filter(minute__lt=now - HITS_KEPT).order_by("minute")
    yield EscalationEvent.objects.filter(at__lt=now - CHANGES_KEPT).order_by("at")
    yield Replay.objects.filter(asked_at__lt=now - REPLAYS_KEPT).order_by("asked_at")
    yield Notice.objects.filter(sent_at__lt=now - NOTICES_KEPT).order_by("sent_at")
    yield Notice.objects.filter(given_up_at__lt=now - NOTICES_KEPT).order_by("given_up_at")
    yield Letter.objects.filter(sent_at__lt=now - SENT_LETTERS_KEPT).order_by("sent_at")
    yield Letter.objects.filter(given_up_at__lt=now - GIVEN_UP_LETTERS_KEPT).order_by("given_up_at")
    yield grants.tokens_that_ended(now)
    yield from sessions.what_is_over(now)
