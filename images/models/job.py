"""A job: one picture to convert, from its upload to its result or its error."""

import re
import secrets
import string
from datetime import timedelta
from functools import partial
from typing import NamedTuple, Self

from django.conf import settings
from django.db import models, transaction
from django.db.models import Count, F, Q
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone

from images.formats import OUTPUTS
from images.orders import Outcome
from usage.subjects import Subject

ALPHABET = string.digits + string.ascii_letters
# How long a job that has ended can still be asked for; its result is gone much earlier.
KEPT_FOR = timedelta(days=1)
ID_LENGTH = 22  # 131 bits: a job's id can't be guessed, although guessing one would not help


def new_id() -> str:
    return "job_" + "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))


def is_id(text: str) -> bool:
    """Whether `text` has the form of an id; anything else (a NUL, say) doesn't get as far as SQL."""
    return re.fullmatch(rf"job_[0-9A-Za-z]{{{ID_LENGTH}}}", text) is not None


def source_name(job: "Job", filename: str) -> str:
    """Where an upload is kept. The client's own file name is never used."""
    return f"in/{job.pk}"


def result_name(job: "Job", filename: str) -> str:
    return f"out/{job.pk}-{job.attempts}.{job.output_format}"


class Underway(NamedTuple):
    """How many jobs a worker has, and how many wait for one."""

    running: int
    queued: int


class JobQuerySet(models.QuerySet["Job"]):
    def of(self, subject: Subject) -> Self:
        """The jobs that belong to whoever asks: the account's, whichever key sent them, or a guest's own."""
        if subject.account_id is not None:
            return self.filter(owner_id=subject.account_id)
        return self.filter(owner=None, subject_id=subject.id)

    def underway(self) -> Underway:
        numbers = self.aggregate(
            running=Count("pk", filter=Q(status=Job.Status.RUNNING)),
            queued=Count("pk", filter=Q(status=Job.Status.QUEUED)),
        )
        return Underway(**numbers)

    def ended(self) -> Self:
        return self.filter(status__in=(Job.Status.DONE, Job.Status.FAILED))


class Job(models.Model):
    """Statuses go one way: queued, running, then done or failed; only a worker's death leads back to queued.

    `attempts` counts the starts, `enqueued_at` is when the workers were last told of the job. Sizes are in
    pixels and bytes.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    id = models.CharField(primary_key=True, max_length=32, default=new_id, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="jobs"
    )
    subject_id = models.CharField("sent by", max_length=80, help_text="The key or the network that sent it.")
    status = models.CharField(max_length=8, choices=Status, default=Status.QUEUED)
    created_at = models.DateTimeField("created", default=timezone.now)
    enqueued_at = models.DateTimeField("enqueued", default=timezone.now)
    started_at = models.DateTimeField("started", null=True, blank=True)
    ended_at = models.DateTimeField("ended", null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    output_format = models.CharField(max_length=8, choices=[(form.name, form.name) for form in OUTPUTS])
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
            models.Index(fields=["owner", "-created_at"], name="jobs_of_an_account"),
            models.Index(fields=["subject_id", "-created_at"], name="jobs_of_a_subject"),
            models.Index(
                fields=["started_at"], name="jobs_not_ended", condition=Q(status__in=("queued", "running"))
            ),
            models.Index(fields=["ended_at"], name="jobs_ended"),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def has_ended(self) -> bool:
        return self.status in (self.Status.DONE, self.Status.FAILED)

    def start(self) -> bool:
        """Take the job for one more attempt; `False` when somebody else was faster."""
        if not self._still_as_read().update(
            status=self.Status.RUNNING, started_at=timezone.now(), attempts=F("attempts") + 1
        ):
            return False
        self.status, self.attempts = self.Status.RUNNING, self.attempts + 1
        return True

    def put_back(self) -> bool:
        """Make the job wait for a worker (again), from now; `False` when somebody else was faster."""
        now = timezone.now()
        waiting = self._still_as_read().filter(enqueued_at=self.enqueued_at)
        if not waiting.update(status=self.Status.QUEUED, enqueued_at=now):
            return False
        self.status, self.enqueued_at = self.Status.QUEUED, now
        return True

    def succeed(self, outcome: Outcome) -> bool:
        """Book the result, whose file is already kept; `False` if this attempt was given up meanwhile."""
        return self._end(
            self.Status.DONE,
            result=self.result.name,
            input_format=outcome.input.format.name,
            input_width=outcome.input.width,
            input_height=outcome.input.height,
            output_width=outcome.output.width,
            output_height=outcome.output.height,
            output_bytes=outcome.output.bytes,
        )

    def fail(self, code: str, detail: str, field: str = "") -> bool:
        """End with an error of the API's table; `False` if this attempt was given up meanwhile."""
        return self._end(self.Status.FAILED, error_code=code, error_detail=detail, error_field=field)

    def forget_source(self) -> None:
        """Remove the upload. The file goes first: a row without its file is found again, not the reverse."""
        if self.source:
            self.source.delete(save=False)
            Job.objects.filter(pk=self.pk).update(source="")

    def forget_result(self) -> None:
        if self.result:
            self.result.delete(save=False)
            Job.objects.filter(pk=self.pk).update(result="")

    def _end(self, status: Status, **fields: object) -> bool:
        fields |= {"status": status, "ended_at": timezone.now()}
        ended = self._still_as_read().update(**fields)
        if ended:
            self.refresh_from_db()
        return bool(ended)

    def _still_as_read(self) -> JobQuerySet:
        """This row, if no other attempt or end came in between: a worker believed dead changes nothing."""
        return Job.objects.filter(pk=self.pk, status=self.status, attempts=self.attempts)


@receiver(post_delete, sender=Job)
def remove_files(instance: Job, **kwargs: object) -> None:
    """Files go with their row, however that goes (an account that is deleted takes its jobs with it)."""
    for file in (instance.source, instance.result):
        if file:
            transaction.on_commit(partial(file.delete, save=False))
