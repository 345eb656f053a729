"""Hits: what was refused, kept in SQL."""

from datetime import datetime
from typing import Self

from django.db import models

from accounts.endpoint_limits.names import NAMES


class RateHitQuerySet(models.QuerySet["RateHit"]):
    def of_subject(self, subject_id: str) -> Self:
        return self.filter(subject=subject_id)

    def between(self, first: datetime, last: datetime) -> Self:
        """Hits in the minutes from `first` to `last`, both included."""
        return self.filter(minute__gte=first, minute__lte=last)


class RateHit(models.Model):
    """Refused requests: a row for each subject, minute, kind and route, so that abuse can't flood it.

    `address` and `user_agent` are those of one of the requests, where a sample was kept. If it came although
    the refusal before it had told the client to wait, `told_seconds` is the `Retry-After` of that refusal and
    `waited_ms` how many milliseconds the client did wait.
    """

    subject = models.CharField(max_length=64, help_text="k:<key id> or ip:<network>")
    minute = models.DateTimeField(help_text="The UTC minute's start.")
    kind = models.CharField(max_length=16)
    route = models.CharField(max_length=32)
    count = models.PositiveIntegerField()
    address = models.CharField(max_length=45, blank=True, help_text="Of one of these requests.")
    user_agent = models.CharField(max_length=200, blank=True, help_text="Of the same request.")
    told_seconds = models.PositiveIntegerField(null=True, blank=True, help_text="To wait, before it.")
    waited_ms = models.PositiveIntegerField(null=True, blank=True, help_text="Instead.")

    objects = RateHitQuerySet.as_manager()

    class Meta:
        ordering = ["-minute", "route", "kind"]
        constraints = [
            models.UniqueConstraint(
                fields=["subject", "minute", "kind", "route"], name="one_row_per_subject_minute_kind_route"
            )
        ]
        indexes = [
            # What retention removes, and what staff read across subjects.
            models.Index(fields=["minute"], name="rate_hit_minute"),
            # What an endpoint limit refused lately. Of all hits these are the few: the others cost nothing.
            models.Index(
                fields=["kind", "minute"],
                name="rate_hit_of_endpoint_limits",
                condition=models.Q(kind__in=sorted(NAMES)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject} {self.minute:%Y-%m-%d %H:%M} {self.kind} {self.route}: {self.count}"
