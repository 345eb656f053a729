"""What beat asks for every few seconds: jobs whose worker is gone, jobs that nobody was told of."""

from datetime import timedelta

from celery import current_app
from django.utils import timezone

from images.models import Job
from images.orders import Unconvertible
from images.queue import ends, waking

# A worker says of its job every two seconds that it runs. The rest is for a machine that is short of breath.
LOST_AFTER = timedelta(seconds=20)
IGNORED_AFTER = timedelta(days=1)
MOST_WAKES = 64

IGNORED = Unconvertible(
    "queue.pool_saturated", "No worker took the job within a day. Send the image again.", field=""
)


def recover_jobs() -> int:
    """Give back the jobs whose worker is gone, wake workers for those that wait; gives how many failed."""
    now = timezone.now()
    ignored = Job.objects.filter(status=Job.Status.QUEUED, created_at__lt=now - IGNORED_AFTER)
    failed = sum(ends.fail(job, IGNORED) for job in ignored.iterator())
    lost = Job.objects.filter(status=Job.Status.RUNNING, seen_at__lt=now - LOST_AFTER)
    failed += sum(ends.give_up(job, ends.OUR_FAULT) for job in lost.iterator())
    waiting = Job.objects.filter(status=Job.Status.QUEUED)[:MOST_WAKES].count()
    if waiting:
        waking.wake(max(0, waiting - _wakes_underway()))
    return failed


def _wakes_underway() -> int:
    """Messages that no worker has read yet."""
    with current_app.connection_for_read() as broker:
        count: int = broker.default_channel._size(waking.QUEUE)
    return count
