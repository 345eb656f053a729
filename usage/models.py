"""What subjects did, kept in SQL."""

from datetime import datetime
from typing import Self

from django.db import models


class RateHitQuerySet(models.QuerySet["RateHit"]):
    def of_subject(self, subject_id: str) -> Self:
        return self.filter(subject=subject_id)

    def between(self, first: datetime, last: datetime) -> Self:
        """Hits in the minutes from `first` to `last`, both included."""
        return self.filter(minute__gte=first, minute__lte=last)


class RateHit(models.Model):
    """Refused requests: a row for each subject, minute, kind and route, so that abuse can't flood it."""

    subject = models.CharField(max_length=64, help_text="k:<key id> or ip:<network>")
    minute = models.DateTimeField(help_text="The UTC minute's start.")
    kind = models.CharField(max_length=16)
    route = models.CharField(max_length=32)
    count = models.PositiveIntegerField()

    objects = RateHitQuerySet.as_manager()

    class Meta:
        ordering = ["-minute", "route", "kind"]
        constraints = [
            models.UniqueConstraint(
                fields=["subject", "minute", "kind", "route"], name="one_row_per_subject_minute_kind_route"
            )
        ]

    def __str__(self) -> str:
        return f"{self.subject} {self.minute:%Y-%m-%d %H:%M} {self.kind} {self.route}: {self.count}"


class BookedUntil(models.Model):
    """The watermark of a bucket: everything up to and including this minute is in SQL."""

    bucket = models.PositiveSmallIntegerField(primary_key=True)
    minute = models.PositiveIntegerField(help_text="Unix minutes")

    def __str__(self) -> str:
        return f"bucket {self.bucket}: {self.minute}"
