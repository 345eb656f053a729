"""The numbers of the queues, held against the jobs that they count; and queues that nobody needs any more.

The numbers move in the transactions that move the jobs, so there is nothing to mend. But a limit that is held
against a wrong number would stay wrong for ever, and nobody would see why.
"""

import logging

from django.db import transaction
from django.db.models import Count, Q

from images.models import AccountQueue, Job

log = logging.getLogger(__name__)

Numbers = tuple[int, int]  # queued, running

_QUEUED, _RUNNING = (Count("pk", filter=Q(status=status)) for status in ("queued", "running"))
_MOST_REMOVED = 1000  # at once: they are held meanwhile


def mend_numbers() -> int:
    """Set right the numbers that differ from the jobs; gives how many queues that were.

    Looks at all of them without holding any. What seems to differ may have moved between the two looks, so it
    is counted again while nobody can move it.
    """
    counted, written = _counted(), _written()
    return sum(
        _mend(pk)
        for pk in counted.keys() | written.keys()
        if counted.get(pk, (0, 0)) != written.get(pk, (0, 0))
    )


def remove_idle_queues() -> int:
    """Remove the queues that no job was in for a day; gives how many. One that is used again is made anew."""
    idle = AccountQueue.objects.idle()
    with transaction.atomic():
        # Held: whoever comes with a job waits, and finds it gone.
        held = list(idle.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True))
        return idle.filter(pk__in=held[:_MOST_REMOVED]).delete()[0]


def _counted() -> dict[str, Numbers]:
    unfinished = (
        Job.objects.exclude(queue=None).filter(status__in=(Job.Status.QUEUED, Job.Status.RUNNING)).order_by()
    )
    rows = unfinished.values_list("queue_id").annotate(queued=_QUEUED, running=_RUNNING)
    return {pk: (queued, running) for pk, queued, running in rows}


def _written() -> dict[str, Numbers]:
    rows = AccountQueue.objects.filter(Q(queued__gt=0) | Q(running__gt=0))
    return {pk: (queued, running) for pk, queued, running in rows.values_list("pk", "queued", "running")}


def _mend(pk: str) -> bool:
    with transaction.atomic():
        queue = AccountQueue.objects.locked(pk)
        if queue is None:
            return False
        counted = queue.jobs.aggregate(queued=_QUEUED, running=_RUNNING)
        if (queue.queued, queue.running) == (counted["queued"], counted["running"]):
            return False
        AccountQueue.objects.filter(pk=pk).update(**counted)
    log.warning("The numbers of queue %s were wrong; its jobs are %s", queue, counted)
    return True
