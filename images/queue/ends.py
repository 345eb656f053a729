"""How a job ends, whoever ends it: its worker, its client, or nobody any more."""

from django.db import transaction

from images.models import AccountQueue, Job
from images.orders import Unconvertible
from images.queue import endings, waking
from images.webhooks import owing

# A picture that killed two workers doesn't get a third.
MAX_ATTEMPTS = 2

OUR_FAULT = Unconvertible("limits_unavailable", "The job failed on our side. Send the image again.", field="")


def give_up(job: Job, last: Unconvertible) -> bool:
    """A running job's worker is gone: have it run again, or fail it with `last` if it had its attempts.

    Returns whether it failed.
    """
    if job.attempts >= MAX_ATTEMPTS:
        return fail(job, last)
    if job.put_back():
        waking.wake()
    return False


def fail(job: Job, error: Unconvertible) -> bool:
    """End the job with an error, unless it has ended otherwise meanwhile."""
    with transaction.atomic():
        failed = job.fail(error.code, error.detail, error.field)
        if failed:
            owing.owe(job)
    if failed:
        after_the_end(job)
    return failed


def cancel(job: Job) -> bool:
    """End the job for who submitted it; `False` if it has ended meanwhile."""
    cancelled = job.cancel()
    if cancelled:
        after_the_end(job)
    return cancelled


def after_the_end(job: Job) -> None:
    """Tell whoever waits, remove the upload (it has done its duty), and have the next of the queue taken."""
    endings.tell(job.pk)
    job.forget_source()
    if AccountQueue.objects.filter(pk=job.queue_id, queued__gt=0).exists():
        waking.wake()
