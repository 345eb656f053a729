"""How a job ends, whoever ends it: its worker, its client, or nobody any more."""

from django.db import transaction

from images.models import Job
from images.orders import Unconvertible
from images.queue import endings
from images.webhooks import owing

# A picture that two died of, boxes or workers, doesn't get a third.
MOST_DEATHS = 2

OUR_FAULT = Unconvertible("limits_unavailable", "The job failed on our side. Send the image again.", field="")


def give_up(job: Job, last: Unconvertible) -> bool:
    """Something died of a running job: have it run again, or fail it with `last` if it is not the first.

    Returns whether it failed. Whoever calls this takes the next job, or wakes who does.
    """
    if job.deaths + 1 >= MOST_DEATHS:
        return fail(job, last)
    job.put_back(died=True)
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
    """End the job for who submitted it; `False` if it has ended meanwhile.

    A worker that is at it notices within seconds, and takes the next.
    """
    cancelled = job.cancel()
    if cancelled:
        after_the_end(job)
    return cancelled


def after_the_end(job: Job) -> None:
    """Tell whoever waits, and remove the upload, which has done its duty."""
    endings.tell(job.pk)
    job.forget_source()
