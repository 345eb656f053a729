"""What the pages about limits show of jobs: see `usage.job_counts`."""

from django.db.models import Q

from images.models import AccountQueue
from images.models.account_queue import account_id_of, queue_id_of
from usage import job_counts
from usage.job_counts import Busy, JobCounts
from usage.subjects import Subject


class QueueCounts:
    """By the numbers that the limits on jobs are held against. One query each."""

    def of(self, subject: Subject) -> JobCounts:
        queue = AccountQueue.objects.filter(pk=queue_id_of(subject)).first() or AccountQueue()
        return JobCounts(queue.running, queue.queued)

    def above(self, counts: JobCounts, most: int) -> list[Busy]:
        too_many = Q(running__gt=counts.running) | Q(queued__gt=counts.queued)
        queues = AccountQueue.objects.filter(too_many).order_by("-running", "-queued")[:most]
        return [
            Busy(account_id_of(queue.pk), queue.pk, JobCounts(queue.running, queue.queued))
            for queue in queues
        ]


def register() -> None:
    job_counts.register(QueueCounts())
