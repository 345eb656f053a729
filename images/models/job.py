"""A job: one picture to convert, from its upload to its result or its error."""

import logging
import re
import secrets
import string
from datetime import timedelta
from functools import partial
from typing import Self

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.fields.files import FieldFile
from django.db.models.signals import post_delete, pre_delete
from django.dispatch import receiver
from django.utils import timezone

from images.formats import OUTPUTS
from images.models.account_queue import AccountQueue
from images.orders import Outcome
from usage.subjects import Subject

logger = logging.getLogger(__name__)

ALPHABET = string.digits + string.ascii_letters
# How long a job that has ended can still be asked for; its result is gone much earlier.
KEPT_FOR = timedelta(days=1)
# Counting further would cost more than the number is worth.
MOST_PLACES = 1000
ID_LENGTH = 22  # 131 bits: a job's id can't be guessed, although guessing one would not help


def new_id() -> str:
    return f"job_{_random()}"


def new_batch_id() -> str:
    return f"batch_{_random()}"


def _random() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))


def is_id(text: str) -> bool:
    """Whether `text` has the form of an id; anything else (a NUL, say) doesn't get as far as SQL."""
    return re.fullmatch(rf"job_[0-9A-Za-z]{{{ID_LENGTH}}}", text) is not None


def source_name(job: "Job", filename: str) -> str:
    """Where an upload is kept. The client's own file name is never used."""
    return f"in/{job.pk}"


def result_name(job: "Job", filename: str) -> str:
    return f"out/{job.pk}-{job.attempts}"


class JobQuerySet(models.QuerySet["Job"]):
    def of(self, subject: Subject) -> Self:
        """The jobs that belong to whoever asks: the account's, whichever key sent them, or a guest's own."""
        if subject.account_id is not None:
            return self.filter(owner_id=subject.account_id)
        return self.filter(owner=None, subject_id=subject.id)

    def ended(self) -> Self:
        return self.filter(status__in=Job.ENDED)

    def next_of(self, queue: AccountQueue) -> "Job | None":
        """The one that has waited longest in this queue."""
        return self.filter(queue=queue, status=Job.Status.QUEUED).order_by("created_at").first()

    def place_of(self, job: "Job") -> int | None:
        """Its place among those that wait in its queue, 1 for the next; `None` far behind, or elsewhere."""
        if job.status != Job.Status.QUEUED:
            return None
        waiting = self.filter(queue=job.queue_id, status=Job.Status.QUEUED).order_by("created_at")
        before = waiting.filter(created_at__lt=job.created_at)[:MOST_PLACES].count()
        return before + 1 if before < MOST_PLACES else None


class Job(models.Model):
    """Statuses go one way: queued, running, then done, failed or cancelled; only a worker's death leads back
    to queued. Each change also moves the numbers of its account's queue, in the same transaction.

    `attempts` counts the starts, `deaths` those that ended with the death of whoever was at it. While it
    runs, `seen_at` is when its worker last said so, and `progress` is in percent. Jobs wait in the order of
    `created_at`, which differs within a batch. Sizes are in pixels and bytes.
    """

    class Operation(models.TextChoices):
        CONVERT = "convert"
        COMPRESS = "compress"

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    ENDED = (Status.DONE, Status.FAILED, Status.CANCELLED)

    id = models.CharField(primary_key=True, max_length=32, default=new_id, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="jobs"
    )
    subject_id = models.CharField("sent by", max_length=80, help_text="The key or the network that sent it.")
    queue = models.ForeignKey(
        AccountQueue,
        models.PROTECT,
        null=True,
        editable=False,
        related_name="jobs",
        help_text="Where it waits.",
    )
    batch = models.CharField(max_length=32, blank=True, editable=False, help_text="What it was sent with.")
    operation = models.CharField(max_length=8, choices=Operation, default=Operation.CONVERT)
    status = models.CharField(max_length=9, choices=Status, default=Status.QUEUED)
    progress = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField("created", default=timezone.now)
    started_at = models.DateTimeField("started", null=True, blank=True)
    seen_at = models.DateTimeField("seen at work", null=True, blank=True)
    ended_at = models.DateTimeField("ended", null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    deaths = models.PositiveSmallIntegerField(default=0, help_text="Of its process, or of its worker.")

    output_format = models.CharField(
        max_length=8,
        blank=True,
        choices=[(form.name, form.name) for form in OUTPUTS],
        help_text="Empty for a compression that has not ended: it keeps the input's.",
    )
    target_bytes = models.PositiveIntegerField(null=True, blank=True, help_text="At most so many.")
    webhook = models.ForeignKey(
        "images.WebhookEndpoint", models.SET_NULL, null=True, blank=True, related_name="jobs"
    )
    quality = models.PositiveSmallIntegerField(null=True, blank=True)
    width = models.PositiveIntegerField("asked-for width", null=True, blank=True)
    height = models.PositiveIntegerField("asked-for height", null=True, blank=True)

    source = models.FileField(upload_to=source_name, blank=True, help_text="Removed when the job ends.")
    input_format = models.CharField(max_length=8, blank=True)
    input_width = models.PositiveIntegerField(null=True, blank=True)
    input_height = models.PositiveIntegerField(null=True, blank=True)
    input_bytes = models.PositiveBigIntegerField()

    result = models.FileField(upload_to=result_name, blank=True, help_text="Removed when its download ends.")
    output_width = models.PositiveIntegerField(null=True, blank=True)
    output_height = models.PositiveIntegerField(null=True, blank=True)
    output_bytes = models.PositiveBigIntegerField(null=True, blank=True)

    error_code = models.CharField(max_length=40, blank=True)
    error_detail = models.CharField(max_length=300, blank=True)
    error_field = models.CharField(max_length=20, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            # By status, so that a page of the few that failed doesn't read all those that did not.
            models.Index(fields=["owner", "status", "-created_at"], name="jobs_of_an_account_by_status"),
            models.Index(fields=["subject_id", "-created_at"], name="jobs_of_a_subject"),
            # The only one of jobs that wait. With another by `created_at` alone, PostgreSQL would look for an
            # account's next job among everybody's, if it believes that most of them are this account's.
            models.Index(fields=["queue", "created_at"], name="jobs_queued", condition=Q(status="queued")),
            models.Index(fields=["seen_at"], name="jobs_running", condition=Q(status="running")),
            models.Index(fields=["ended_at"], name="jobs_ended"),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def has_ended(self) -> bool:
        return self.status in self.ENDED

    def start(self) -> bool:
        """Take the job for one more attempt; `False` when somebody else was faster."""
        now = timezone.now()
        started = self._move(
            self.Status.RUNNING, started_at=now, seen_at=now, progress=0, attempts=F("attempts") + 1
        )
        if started:
            self.attempts += 1
        return started

    def still_runs(self, progress: int, ahead: timedelta = timedelta()) -> bool:
        """Say that its worker is at it; `False` when it was given up or cancelled meanwhile.

        `ahead` is for how long the worker may be unable to say so again.
        """
        return bool(self._still_as_read().update(seen_at=timezone.now() + ahead, progress=progress))

    def put_back(self, *, died: bool) -> bool:
        """Make a running job wait again, in its old place; `False` when somebody else was faster.

        `died`: because its process or its worker did, not because the worker was told to stop.
        """
        return self._move(self.Status.QUEUED, seen_at=None, progress=0, deaths=F("deaths") + int(died))

    def succeed(self, outcome: Outcome) -> bool:
        """Book the result, whose file is already kept; `False` if this attempt was given up meanwhile."""
        return self._end(
            self.Status.DONE,
            progress=100,
            result=self.result.name,
            input_format=outcome.input.format.name,
            input_width=outcome.input.width,
            input_height=outcome.input.height,
            output_format=outcome.output.format.name,
            output_width=outcome.output.width,
            output_height=outcome.output.height,
            output_bytes=outcome.output.bytes,
        )

    def fail(self, code: str, detail: str, field: str = "") -> bool:
        """End with an error of the API's table; `False` if this attempt was given up meanwhile."""
        return self._end(self.Status.FAILED, error_code=code, error_detail=detail, error_field=field)

    def cancel(self) -> bool:
        """End it because its client says so; `False` if it has ended, or moved on since it was read.

        Its worker notices at its next `still_runs`, and drops what it has made.
        """
        return self._end(self.Status.CANCELLED)

    def forget_source(self) -> None:
        """Remove the upload. The file goes first: a row without its file is found again, not the reverse."""
        if self._removed(self.source):
            Job.objects.filter(pk=self.pk).update(source="")

    def forget_result(self) -> None:
        if self._removed(self.result):
            Job.objects.filter(pk=self.pk).update(result="")

    def _removed(self, file: FieldFile) -> bool:
        if not file:
            return False
        try:
            file.delete(save=False)
        except OSError as error:
            # Whatever this is the end of is no worse for it: the cleaning finds the file by its row.
            logger.warning("A file of %s can't be removed yet: %s", self, error)
            return False
        return True

    def _end(self, status: Status, **fields: object) -> bool:
        ended = self._move(status, ended_at=timezone.now(), **fields)
        if ended:
            self.refresh_from_db()
        return ended

    def _move(self, status: Status, **fields: object) -> bool:
        if self.has_ended:
            return False
        with transaction.atomic(savepoint=False):
            queue = AccountQueue.objects.locked(self.queue_id)
            if not self._still_as_read().update(status=status, **fields):
                return False
            if queue is not None:
                queue.move(left=self.status, entered=status)
        self.status = status
        return True

    def _still_as_read(self) -> JobQuerySet:
        """This row, if no other attempt or end came in between: a worker believed dead changes nothing."""
        return Job.objects.filter(pk=self.pk, status=self.status, attempts=self.attempts)


@receiver(pre_delete, sender=Job)
def leave_the_queue(instance: Job, **kwargs: object) -> None:
    """A row that is deleted while its job waits or runs is counted no more. Its worker notices, and stops."""
    if not instance.has_ended:
        queue = AccountQueue.objects.locked(instance.queue_id)
        now = Job.objects.filter(pk=instance.pk).values_list("status", flat=True).first()
        if queue is not None and now is not None:
            queue.move(left=now)


@receiver(post_delete, sender=Job)
def remove_files(instance: Job, **kwargs: object) -> None:
    """Files go with their row, however that goes (an account that is deleted takes its jobs with it)."""
    for file in (instance.source, instance.result):
        if file:
            # Robust: a storage that is away leaves a file without a row, and fails nobody.
            transaction.on_commit(partial(file.delete, save=False), robust=True)
