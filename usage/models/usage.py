"""The books: what each subject did, by minute, hour and day. Pages read sums and never count rows."""

from datetime import datetime
from functools import reduce
from operator import add
from typing import Self

from django.db import models
from django.db.models import F
from django.db.models.expressions import Combinable

# The counts of a row, in the order of its columns.
COUNTS = ("admitted", "failed", "minute_hits", "day_hits", "concurrent_hits", "blocked_hits", "other_hits")
# Of a row, all that was refused.
REFUSED: Combinable = reduce(add, (F(name) for name in COUNTS if name not in ("admitted", "failed")))


class UsageQuerySet(models.QuerySet["Usage"]):
    def of_subject(self, subject_id: str) -> Self:
        return self.filter(subject=subject_id)

    def between(self, first: datetime, last: datetime) -> Self:
        """Rows whose span starts from `first` to `last`, both included."""
        return self.filter(start__gte=first, start__lte=last)


class Usage(models.Model):
    """One subject's charged requests in one span of time that begins at `start`.

    `failed` counts those of the admitted that were answered with an error. Hits are told apart by what
    refused them: the minute, the day, the concurrency, a block (cooldown, block, suspension), anything else.
    """

    subject = models.CharField(max_length=64, help_text="k:<key id> or ip:<network>")
    start = models.DateTimeField(help_text="UTC")
    admitted = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    minute_hits = models.PositiveIntegerField(default=0)
    day_hits = models.PositiveIntegerField(default=0)
    concurrent_hits = models.PositiveIntegerField(default=0)
    blocked_hits = models.PositiveIntegerField(default=0)
    other_hits = models.PositiveIntegerField(default=0)

    objects = UsageQuerySet.as_manager()

    class Meta:
        abstract = True
        ordering = ["-start", "subject"]

    def __str__(self) -> str:
        return f"{self.subject} {self.start:%Y-%m-%d %H:%M}: {self.admitted}"

    @property
    def refused(self) -> int:
        return self.minute_hits + self.day_hits + self.concurrent_hits + self.blocked_hits + self.other_hits


class UsageMinute(Usage):
    """Kept for 7 days."""

    class Meta(Usage.Meta):
        constraints = [
            models.UniqueConstraint(fields=["subject", "start"], name="one_row_per_subject_minute")
        ]
        indexes = [models.Index(fields=["start"], name="usage_minute_start")]


class UsageHour(Usage):
    """Kept for 90 days."""

    class Meta(Usage.Meta):
        constraints = [models.UniqueConstraint(fields=["subject", "start"], name="one_row_per_subject_hour")]
        indexes = [models.Index(fields=["start"], name="usage_hour_start")]


class UsageDay(Usage):
    """Kept for 400 days. `bucket` finds today's counts when a bucket of the limit store is rebuilt."""

    bucket = models.PositiveSmallIntegerField()

    class Meta(Usage.Meta):
        constraints = [models.UniqueConstraint(fields=["subject", "start"], name="one_row_per_subject_day")]
        indexes = [models.Index(fields=["start", "bucket"], name="usage_day_start_bucket")]
