"""What beat asks for: jobs whose worker is gone, jobs that nobody was told of, and those that nobody took."""

import logging
from datetime import timedelta

from django.utils import timezone
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from images.models import Job
from images.orders import Unconvertible
from images.queue import ends, waking

log = logging.getLogger(__name__)

# A worker says of its job every two seconds that it runs. The rest is for a machine that is short of breath.
LOST_AFTER = timedelta(seconds=20)
IGNORED_AFTER = timedelta(days=1)
# At once. Each worker that wakes goes on by itself, and where jobs wait for their account's turn, none does.
MOST_WAKES = 16

DEADLY = Unconvertible(
    "limits_unavailable",
    "The worker on this job died, twice. If the image was not the reason, sending it again helps.",
    field="",
)
IGNORED = Unconvertible(
    "queue.pool_saturated", "No worker took the job within a day. Send the image again.", field=""
)


def recover_jobs() -> int:
    """Give back the jobs whose worker is gone, wake workers for those that wait; gives how many failed."""
    failed = 0
    for job in Job.objects.filter(status=Job.Status.RUNNING, seen_at__lt=timezone.now() - LOST_AFTER):
        log.warning("The worker of %s is gone", job)
        failed += ends.give_up(job, DEADLY)
    waiting = Job.objects.filter(status=Job.Status.QUEUED).order_by()[:MOST_WAKES].count()
    if waiting:
        _wake_for(waiting)
    return failed


def fail_ignored_jobs() -> int:
    """Fail the jobs that waited for a day; gives how many. It looks at all that wait: ask seldom."""
    a_day_ago = timezone.now() - IGNORED_AFTER
    ignored = Job.objects.filter(status=Job.Status.QUEUED, created_at__lt=a_day_ago).order_by()
    return sum(ends.fail(job, IGNORED) for job in ignored.iterator())


def _wake_for(waiting: int) -> None:
    try:
        missing = waiting - waking.underway()
    except (OperationalError, RedisError) as error:
        log.error("The workers can't be told that there are jobs: %s", error)
    else:
        waking.wake(max(0, missing))
