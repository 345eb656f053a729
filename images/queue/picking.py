"""Which job is next: fair between accounts, and never more of one account's at once than its limit."""

from django.db import transaction

from accounts.models import ApiKey, Tier
from images.models import AccountQueue, Job
from usage.subjects import key_id_of


def take() -> Job | None:
    """Start the next job there is for a worker, or `None`: nothing waits that may run now.

    Accounts take turns: next is the queue that was not served for longest, whatever it holds. A queue whose
    account runs as many as it may is passed over; there are never more of these than workers, so what this
    costs doesn't grow with what waits. Within its queue a job waits for those before it.
    """
    full: list[str] = []
    while True:
        with transaction.atomic():
            queue = _next_queue(full)
            if queue is None:
                return None
            job = Job.objects.next_of(queue)
            if job is not None and queue.running < _parallel(job, queue.running + 1) and job.start():
                return job
            full.append(queue.pk)


def _next_queue(full: list[str]) -> AccountQueue | None:
    """Locked. One that somebody else holds is left to them, unless there is no other: on a database that
    locks rows, whoever waited for it would take a second job from it, past those whose turn has come."""
    others = AccountQueue.objects.waiting().exclude(pk__in=full)
    return others.select_for_update(skip_locked=True).first() or others.select_for_update().first()


def _parallel(job: Job, boundless: int) -> int:
    """How many jobs may run at once where this one waits, by the limits in force; `boundless` if all may."""
    key_id = key_id_of(job.subject_id) if job.subject_id else None
    if key_id is None:
        limit = Tier.objects.get(slug=Tier.ANONYMOUS).parallel
    else:
        key = ApiKey.objects.select_related("tier").filter(pk=key_id).first()
        limit = key.limits.parallel if key is not None else 1
    return boundless if limit is None else limit
