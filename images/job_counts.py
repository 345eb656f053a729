"""What the pages about limits show of jobs: see `usage.job_counts`."""

from images.models import AccountQueue
from images.models.account_queue import queue_id_of
from usage import job_counts
from usage.job_counts import JobCounts
from usage.subjects import Subject


def register() -> None:
    job_counts.register(counts_of)


def counts_of(subject: Subject) -> JobCounts:
    """By the numbers that the limits on jobs are held against. One query."""
    queue = AccountQueue.objects.filter(pk=queue_id_of(subject)).first() or AccountQueue()
    return JobCounts(queue.running, queue.queued)
