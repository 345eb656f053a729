"""What a worker does with a job: it makes an attempt at it, and books its end."""

import logging
import tempfile
import threading
import time
from datetime import timedelta
from typing import IO

from django.conf import settings
from django.core.files.base import File
from django.db import DatabaseError, close_old_connections, transaction

from images import downloads
from images.formats import output_named
from images.models import Job
from images.orders import Order, Outcome, Unconvertible
from images.pictures import box
from images.pictures.limits import Limits
from images.queue import picking, waking
from images.queue.ends import OUR_FAULT, after_the_end, fail, give_up
from images.webhooks import owing

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 2.0
# Nothing is heard of a worker while it hands a result to the storage, so it announces that: with what makes a
# job lost anyway (`recovering.LOST_AFTER`), one that dies just then is found within a minute all the same.
STORING = timedelta(seconds=30)

DEADLY = Unconvertible("invalid_request", "The process that worked on this image died, at each attempt.")
ODD = Unconvertible("invalid_request", "This image could not be converted.")

_stopping = threading.Event()


def work() -> int:
    """Take one job after the other and make an attempt at it, until none is left that may run now.

    Returns how many there were.
    """
    made = 0
    while not _stopping.is_set() and (job := picking.take()) is not None:
        attempt(job)
        made += 1
        close_old_connections()  # as after a request: this may go on for hours
    return made


def stop() -> None:
    """Give the jobs that run here back to the queue, within seconds, and take no more."""
    _stopping.set()


def attempt(job: Job) -> None:
    """Run a job that was just started by this worker, and end it."""
    with tempfile.TemporaryFile() as made:
        try:
            with job.source.open("rb") as source:
                outcome = _convert(source, made, job)
            if job.still_runs(99, ahead=STORING):
                job.result.save("", File(made), save=False)
                _succeed(job, outcome)
        except Unconvertible as error:
            fail(job, error)
        except (box.Stopped, box.Killed) as end:
            _interrupted(job, end)
        except Exception:
            # Storage, most likely. Whatever it is: who submitted the job is to hear of an end.
            log.exception("Nothing came of %s, on our side", job)
            # Read again: what failed may have been the booking of its success.
            if running := Job.objects.filter(pk=job.pk, attempts=job.attempts).first():
                fail(running, OUR_FAULT)


def _convert(source: IO[bytes], made: IO[bytes], job: Job) -> Outcome:
    order = Order(
        output_named(job.output_format), job.quality, job.width, job.height, target_bytes=job.target_bytes
    )
    limits = Limits.within(memory_bytes=settings.JOB_MEMORY_BYTES, max_pixels=settings.IMAGE_MAX_PIXELS)
    try:
        return box.convert(source, made, order, limits=limits, going_on=_Heartbeat(job))
    except box.Odd as error:
        log.error("Converting %s failed in a way we don't know:\n%s", job, error)
        raise ODD from None


class _Heartbeat:
    """Says of a job that it runs, every two seconds however often it is asked; `False` when it is to stop."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._next = time.monotonic() + HEARTBEAT_SECONDS

    def __call__(self, progress: int) -> bool:
        if _stopping.is_set():
            return False
        if time.monotonic() < self._next:
            return True
        self._next = time.monotonic() + HEARTBEAT_SECONDS
        try:
            return self._job.still_runs(progress)
        except DatabaseError as error:
            # Not a reason to stop: if it lasts, the job is given to another worker, and we hear of that.
            log.warning("Can't say that %s runs: %s", self._job, error)
            close_old_connections()
            return True


def _interrupted(job: Job, end: box.Stopped | box.Killed) -> None:
    if _stopping.is_set():
        if job.put_back(died=False):
            waking.wake()
    elif isinstance(end, box.Killed):
        log.error("The box of %s died: %s", job, end)
        give_up(job, DEADLY)
    else:
        log.info("%s was cancelled, or given to another worker", job)


def _succeed(job: Job, outcome: Outcome) -> None:
    with transaction.atomic():
        done = job.succeed(outcome)
        if done:
            downloads.grant(job)
            owing.owe(job)
    if done:
        after_the_end(job)
    else:
        job.result.delete(save=False)
