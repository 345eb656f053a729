"""Replays as they are asked for by pages and run by the worker, one at a time.

What waits stands in SQL: a message says only that there may be something, and beat says so every few seconds.
A run that its worker's end has cut short is begun once more, and given up the second time.
"""

import logging
import time
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.utils import timezone
from kombu import pools
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from accounts.models import Tier, User
from usage.models import Replay
from usage.replay.numbers import Numbers
from usage.replay.replaying import replay

logger = logging.getLogger(__name__)

RUN_REPLAY = "usage.run_replay"
KEPT = 50  # the newest ones; older ones go when another is started
FRESH = timedelta(minutes=10)  # for so long the same question has the same answer
SOFT_LIMIT, HARD_LIMIT = 120, 140  # seconds that a run may take
LOST = timedelta(seconds=HARD_LIMIT + 10)  # a run that began longer ago has no worker any more
TELL_EVERY = 1.0  # seconds

CUT_SHORT = "Its worker ended before it did, so it was begun again."
GIVEN_UP = "Its worker ended twice before it did; the worker's log may say why."
TOO_LONG = f"It took longer than {SOFT_LIMIT} seconds: the server may have more to do than usual."
NO_TIER = "There is no such tier any more."
BROKEN = "It failed. The worker's log says why."

_BRIEFLY = {"max_retries": 0, "socket_connect_timeout": 0.5, "socket_timeout": 0.5}


class Superseded(Exception):
    """The row says that this run is not the one that counts: it was given to another, or removed."""


def start(about: str, slug: str, current: Numbers, proposed: Numbers, by: User | None) -> Replay:
    """Have the worker replay a proposal; what was asked a moment ago is not run twice but given back.

    `current` and `proposed` are as `usage.replay.numbers` writes them.
    """
    now = timezone.now()
    asked: dict[str, Any] = {"current": dict(current), "proposed": dict(proposed)}
    lately = Replay.objects.filter(about=about, slug=slug, asked_at__gt=now - FRESH)
    for one in lately.exclude(status=Replay.Status.FAILED).defer("result")[:KEPT]:
        if (one.current, one.proposed) == (asked["current"], asked["proposed"]):
            return one
    started = Replay.objects.create(about=about, slug=slug, asked_by=by, asked_at=now, **asked)
    kept = Replay.objects.values("pk")[:KEPT]
    Replay.objects.exclude(pk__in=list(kept.values_list("pk", flat=True))).delete()
    transaction.on_commit(wake_worker)
    return started


def wake_worker() -> None:
    """Tell the worker; if the queue is away, beat does."""
    broker = current_app.connection_for_write(transport_options=_BRIEFLY)
    try:
        with pools.producers[broker].acquire(block=True) as producer:
            current_app.send_task(RUN_REPLAY, producer=producer, retry=False, expires=60)
    except (OperationalError, RedisError) as error:
        logger.warning("The worker can't be told that a replay waits; beat will: %s", error)


def run_next(now: datetime) -> int:
    """Run the replay that waits for longest, unless one runs already; gives how many were run."""
    _recover(now)
    chosen = _claim(now)
    if chosen is None:
        return 0
    run = _Run(chosen)
    try:
        result = replay(chosen.about, chosen.slug, chosen.current, chosen.proposed, now, run.tell)
    except Superseded:
        return 0
    except SoftTimeLimitExceeded:
        run.end(Replay.Status.FAILED, error=TOO_LONG)
    except Tier.DoesNotExist:
        run.end(Replay.Status.FAILED, error=NO_TIER)
    except Exception:
        run.end(Replay.Status.FAILED, error=BROKEN)
        raise
    else:
        run.end(Replay.Status.DONE, result=result, progress=100, error="")
    if Replay.objects.filter(status=Replay.Status.WAITING).exists():
        wake_worker()
    return 1


def _recover(now: datetime) -> None:
    lost = Replay.objects.filter(status=Replay.Status.RUNNING, started_at__lte=now - LOST)
    lost.exclude(error="").update(status=Replay.Status.FAILED, error=GIVEN_UP, ended_at=now)
    lost.update(status=Replay.Status.WAITING, error=CUT_SHORT, started_at=None, progress=0)


def _claim(now: datetime) -> Replay | None:
    """The one that waits for longest is this process's now; none as long as any runs."""
    with transaction.atomic():
        # Locked in the order of their age: who asks meanwhile waits, and then finds one that runs.
        undone = Replay.objects.select_for_update().order_by("asked_at", "pk")
        open_ones = list(undone.filter(status__in=[Replay.Status.WAITING, Replay.Status.RUNNING]))
        if not open_ones or any(one.status == Replay.Status.RUNNING for one in open_ones):
            return None
        chosen = open_ones[0]
        chosen.status, chosen.started_at, chosen.progress = Replay.Status.RUNNING, now, 0
        chosen.save(update_fields=["status", "started_at", "progress"])
    return chosen


class _Run:
    """Writes to the row for as long as it is this run's."""

    def __init__(self, row: Replay) -> None:
        self._mine = Replay.objects.filter(pk=row.pk, status=Replay.Status.RUNNING, started_at=row.started_at)
        self._told_at = time.monotonic()

    def tell(self, done: float) -> None:
        now = time.monotonic()
        if now - self._told_at < TELL_EVERY:
            return
        self._told_at = now
        if not self._mine.update(progress=min(99, int(done * 100))):
            raise Superseded

    def end(self, status: str, **fields: Any) -> None:
        self._mine.update(status=status, ended_at=timezone.now(), **fields)
