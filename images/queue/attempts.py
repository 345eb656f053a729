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
from images.pictures.converting import convert
from images.queue import picking
from images.queue.ends import OUR_FAULT, after_the_end, fail
from images.webhooks import owing

log = logging.getLogger(__name__)

TOO_MUCH = Unconvertible("image_too_large", "Converting this image takes more memory than a worker has.")
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
        except OSError:
            log.exception("Storage failed for %s", job)
            fail(job, OUR_FAULT)
        else:
            _succeed(job, outcome)


def _convert(source: IO[bytes], made: IO[bytes], job: Job) -> Outcome:
    order = Order(
        output_named(job.output_format), job.quality, job.width, job.height, target_bytes=job.target_bytes
    )
    try:
        return convert(source, made, order, max_pixels=settings.IMAGE_MAX_PIXELS)
    except Unconvertible:
        raise
    except MemoryError:
        raise TOO_MUCH from None
    except Exception:
        log.exception("Converting %s failed in a way we don't know", job)
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
