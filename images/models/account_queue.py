"""An account's queue: how many of its jobs wait and how many run, and when it was last served."""

from datetime import UTC, datetime
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from usage.subjects import Subject

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def queue_id_of(subject: Subject) -> str:
    """Whose queue a subject's jobs wait in: its account's, with all of its keys, or a guest's own."""
    return subject.id if subject.account_id is None else account_queue_id(subject.account_id)


def account_queue_id(account_id: int) -> str:
    return f"a:{account_id}"


def account_id_of(queue_id: str) -> int | None:
    """`None` for a guest's queue."""
    kind, _, rest = queue_id.partition(":")
    return int(rest) if kind == "a" else None


class AccountQueueQuerySet(models.QuerySet["AccountQueue"]):
    def locked(self, queue_id: str | None) -> "AccountQueue | None":
        """The queue, kept from everybody else until the transaction ends.

        Whoever changes the status of one of its jobs holds it first: so nobody waits in a circle.
        """
        return self.select_for_update().filter(pk=queue_id).first()

    def locked_or_made(self, queue_id: str) -> "AccountQueue":
        """As `locked`, for one that may not be there yet, or be removed this moment for being idle."""
        while (queue := self.locked(queue_id)) is None:
            self.bulk_create([AccountQueue(pk=queue_id)], ignore_conflicts=True)
        return queue

    def waiting(self) -> Self:
        """Those with jobs that wait, the one first that has waited longest for a start."""
        return self.filter(queued__gt=0).order_by("served_at")

    def idle(self) -> Self:
        """Those without a job of any status: no job came for as long as one is kept after its end."""
        return self.filter(queued=0, running=0, jobs=None)


class AccountQueue(models.Model):
    """The numbers that the limits on jobs are held against, changed in the transactions that change the jobs.

    `id` is `a:<account id>` or, for a guest, the subject's `ip:<network>`. `served_at` is when one of its
    jobs was last started: the queue that was not served for longest is next.
    """

    id = models.CharField(primary_key=True, max_length=80, editable=False)
    queued = models.PositiveIntegerField(default=0)
    running = models.PositiveIntegerField(default=0)
    served_at = models.DateTimeField(default=NEVER)

    objects = AccountQueueQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["served_at"], name="queues_waiting", condition=Q(queued__gt=0))]

    def __str__(self) -> str:
        return f"{self.id}: {self.running} running, {self.queued} queued"

    def move(self, *, left: str = "", entered: str = "", jobs: int = 1) -> None:
        """Count jobs that left one status for another, where these have a number; call while locked."""
        changes: dict[str, object] = {
            name: F(name) + jobs * ((entered == name) - (left == name))
            for name in ("queued", "running")
            if (entered == name) != (left == name)
        }
        if entered == "running":
            changes["served_at"] = timezone.now()
        AccountQueue.objects.filter(pk=self.pk).update(**changes)
