"""What the worker does regularly: see to the jobs that nobody else sees to, remove what is over."""

from datetime import timedelta

from django.utils import timezone

from images import attempts
from images.models import Download, Job
from images.models.job import KEPT_FOR
from images.orders import Unconvertible

# The hard limit ends every attempt; the rest is for clocks that differ.
LOST_AFTER = timedelta(seconds=attempts.HARD_LIMIT + 10)
# A message can get lost with the worker that held it. One too many costs a look at the job.
OVERLOOKED_AFTER = timedelta(minutes=3)
IGNORED_AFTER = timedelta(hours=1)

IGNORED = Unconvertible(
    "queue.pool_saturated", "No worker took the job within an hour. Send the image again.", field=""
)


def recover_lost_jobs() -> int:
    """Hand out again the jobs whose worker is gone or that no worker took, or fail them in the end.

    Returns how many failed.
    """
    now = timezone.now()
    ignored = Job.objects.filter(status=Job.Status.QUEUED, created_at__lt=now - IGNORED_AFTER)
    failed = sum(attempts.fail(job, IGNORED) for job in ignored)
    overlooked = Job.objects.filter(status=Job.Status.QUEUED, enqueued_at__lt=now - OVERLOOKED_AFTER)
    for job in overlooked:
        attempts.hand_out_again(job)
    lost = Job.objects.filter(status=Job.Status.RUNNING, started_at__lt=now - LOST_AFTER)
    return failed + sum(attempts.give_up(job, attempts.OUR_FAULT) for job in lost)


def remove_what_is_over() -> int:
    """Remove results that can't be downloaded any more, uploads of jobs that have ended, and old jobs.

    Returns how many files and rows went. What a run that was killed left behind, the next one finds.
    """
    removed = 0
    for job in Job.objects.filter(download__in=Download.objects.dead()).exclude(result=""):
        job.forget_result()
        removed += 1
    for job in Job.objects.ended().exclude(source=""):
        job.forget_source()
        removed += 1
    old = Job.objects.ended().filter(ended_at__lt=timezone.now() - KEPT_FOR)
    removed += old.delete()[1].get(Job._meta.label, 0)
    return removed
