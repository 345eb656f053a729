"""What a worker does with a job: it makes an attempt at it, and books its end."""

import logging
import tempfile
from typing import IO

from django.conf import settings
from django.core.files.base import File
from django.db import transaction

from images import downloads
from images.formats import output_named
from images.models import Job
from images.orders import Order, Outcome, Unconvertible
from images.pictures import box
from images.pictures.limits import Limits
from images.queue import picking
from images.queue.ends import OUR_FAULT, after_the_end, fail, give_up
from images.webhooks import owing

log = logging.getLogger(__name__)

DEADLY = Unconvertible("invalid_request", "The process that worked on this image died, at each attempt.")
ODD = Unconvertible("invalid_request", "This image could not be converted.")


def work() -> bool:
    """Take the next job and make an attempt at it; `False` when there was none."""
    job = picking.take()
    if job is None:
        return False
    attempt(job)
    return True


def attempt(job: Job) -> None:
    """Run a job that was just started by this worker, and end it."""
    with tempfile.TemporaryFile() as made:
        try:
            with job.source.open("rb") as source:
                outcome = _convert(source, made, job)
            job.result.save("", File(made), save=False)
        except Unconvertible as error:
            fail(job, error)
        except box.Stopped:
            log.info("%s was cancelled, or given to another worker", job)
        except box.Killed as error:
            log.error("The box of %s died: %s", job, error)
            give_up(job, DEADLY)
        except OSError:
            log.exception("Storage failed for %s", job)
            fail(job, OUR_FAULT)
        else:
            _succeed(job, outcome)


def _convert(source: IO[bytes], made: IO[bytes], job: Job) -> Outcome:
    order = Order(
        output_named(job.output_format), job.quality, job.width, job.height, target_bytes=job.target_bytes
    )
    limits = Limits.within(memory_bytes=settings.JOB_MEMORY_BYTES, max_pixels=settings.IMAGE_MAX_PIXELS)
    try:
        return box.convert(source, made, order, limits=limits, going_on=job.still_runs)
    except box.Odd as error:
        log.error("Converting %s failed in a way we don't know:\n%s", job, error)
        raise ODD from None


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
