"""What the worker does with a job: it makes an attempt at it, and books its end."""

import logging
import tempfile
from typing import IO

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.core.files.base import File
from django.db import transaction

from images import downloads, endings
from images.converting import convert
from images.formats import output_named
from images.models import Job
from images.orders import Order, Outcome, Unconvertible
from images.queue import enqueue

log = logging.getLogger(__name__)

# Seconds. 49 megapixels of noise to PNG, the slowest there is, took 41 s on a busy core.
SOFT_LIMIT = 120
HARD_LIMIT = 150
# A picture that killed two workers doesn't get a third.
MAX_ATTEMPTS = 2

TOO_LONG = Unconvertible("image_too_large", f"Converting this image takes longer than {SOFT_LIMIT} seconds.")
TOO_MUCH = Unconvertible("image_too_large", "Converting this image takes more memory than a worker has.")
ODD = Unconvertible("invalid_request", "This image could not be converted.")
OUR_FAULT = Unconvertible("limits_unavailable", "The job failed on our side. Send the image again.", field="")


def run(job_id: str, attempt: int = 0, *, redelivered: bool) -> None:
    """Convert, in a worker. A job that is gone, has ended or is another worker's is left alone.

    A message is good for one attempt: the one that follows `attempt` earlier ones. So the queue may deliver
    it twice, and a job may be enqueued twice. `redelivered`: the queue gave out this message before, and
    that worker died with it.
    """
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        return
    if job.status == Job.Status.QUEUED and job.attempts == attempt:
        if job.start():
            _attempt(job)
    elif redelivered and _is_running(job, attempt):
        give_up(job, TOO_MUCH)


def give_up(job: Job, last: Unconvertible) -> bool:
    """A running job's worker is gone: hand the job out again, or fail it with `last` if it had its attempts.

    Returns whether it failed.
    """
    if job.attempts >= MAX_ATTEMPTS:
        return fail(job, last)
    hand_out_again(job)
    return False


def hand_out_again(job: Job) -> bool:
    """Enqueue a job that has not ended; `False` when somebody else did something about it meanwhile.

    If the queue fails here, the job waits until it counts as overlooked, and is then handed out again.
    """
    back = job.put_back()
    if back:
        enqueue(job.pk, job.attempts)
    return back


def ran_into_the_limit(job_id: str, attempt: int = 0) -> None:
    """The process that converted was killed at the hard limit: another attempt would end the same."""
    job = Job.objects.filter(pk=job_id).first()
    if job is not None and _is_running(job, attempt):
        fail(job, TOO_LONG)


def fail(job: Job, error: Unconvertible) -> bool:
    """End the job with an error, unless it has ended otherwise meanwhile."""
    failed = job.fail(error.code, error.detail, error.field)
    if failed:
        _after_the_end(job)
    return failed


def _is_running(job: Job, attempt: int) -> bool:
    """Whether it is this message's attempt that runs, and not a later one."""
    return job.status == Job.Status.RUNNING and job.attempts == attempt + 1


def _attempt(job: Job) -> None:
    with tempfile.TemporaryFile() as made:
        try:
            with job.source.open("rb") as source:
                outcome = _convert(source, made, job)
            job.result.save("", File(made), save=False)
        except Unconvertible as error:
            fail(job, error)
        except SoftTimeLimitExceeded:
            fail(job, TOO_LONG)
        except OSError:
            log.exception("Storage failed for %s", job)
            fail(job, OUR_FAULT)
        else:
            _succeed(job, outcome)


def _convert(source: IO[bytes], made: IO[bytes], job: Job) -> Outcome:
    output = output_named(job.output_format)
    assert output is not None  # noqa: S101  (the row's own choices)
    order = Order(output, job.quality, job.width, job.height)
    try:
        return convert(source, made, order, max_pixels=settings.IMAGE_MAX_PIXELS)
    except (Unconvertible, SoftTimeLimitExceeded):
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
    if done:
        _after_the_end(job)
    else:
        job.result.delete(save=False)


def _after_the_end(job: Job) -> None:
    """Tell whoever waits, then remove the upload: it has done its duty."""
    endings.tell(job.pk)
    job.forget_source()
