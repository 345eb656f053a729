"""Totals over all subjects, for staff: the worker makes them from the books, so that no page has to."""

from datetime import datetime
from typing import Self

from django.db import models


class TotalQuerySet(models.QuerySet["UsageTotal"]):
    def since(self, first: datetime) -> Self:
        """Of the hours that start at `first` or later."""
        return self.filter(start__gte=first)


class UsageTotal(models.Model):
    """What the subjects of one tier did in one hour, in the columns of `Usage`.

    A key counts under the tier that it has when its hour is summed up, a network under the anonymous tier.
    `tier` is a slug, or empty: keys that were gone by then.
    """

    start = models.DateTimeField(help_text="Of the hour, UTC.")
    tier = models.CharField(max_length=50, blank=True, help_text="Its slug. Empty: keys that were deleted.")
    admitted = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    minute_hits = models.PositiveBigIntegerField(default=0)
    day_hits = models.PositiveBigIntegerField(default=0)
    concurrent_hits = models.PositiveBigIntegerField(default=0)
    blocked_hits = models.PositiveBigIntegerField(default=0)
    other_hits = models.PositiveBigIntegerField(default=0)

    objects = TotalQuerySet.as_manager()

    class Meta:
        ordering = ["-start", "tier"]
        constraints = [models.UniqueConstraint(fields=["start", "tier"], name="one_total_per_hour_tier")]

    def __str__(self) -> str:
        return f"{self.tier or 'deleted keys'} {self.start:%Y-%m-%d %H:%M}: {self.admitted}"


class HitTotalQuerySet(models.QuerySet["HitTotal"]):
    def since(self, first: datetime) -> Self:
        """Of the hours that start at `first` or later."""
        return self.filter(start__gte=first)

    def by_kind(self) -> dict[str, int]:
        return dict(self.order_by().values_list("kind").annotate(models.Sum("count")))


class HitTotal(models.Model):
    """How many requests one kind of limit, or of refusal, refused in one hour; `kind` as in `RateHit`."""

    start = models.DateTimeField(help_text="Of the hour, UTC.")
    kind = models.CharField(max_length=16)
    count = models.PositiveBigIntegerField()

    objects = HitTotalQuerySet.as_manager()

    class Meta:
        ordering = ["-start", "kind"]
        constraints = [models.UniqueConstraint(fields=["start", "kind"], name="one_total_per_hour_kind")]

    def __str__(self) -> str:
        return f"{self.kind} {self.start:%Y-%m-%d %H:%M}: {self.count}"


class TopSubject(models.Model):
    """One of the subjects that were served, or refused, the most on the newest day of the books."""

    class By(models.TextChoices):
        SERVED = "served"
        REFUSED = "refused"

    by = models.CharField(max_length=8, choices=By)
    rank = models.PositiveSmallIntegerField(help_text="1 has the most.")
    day = models.DateTimeField(help_text="The UTC day's start.")
    subject = models.CharField(max_length=64, help_text="k:<key id> or ip:<network>")
    served = models.PositiveIntegerField()
    refused = models.PositiveBigIntegerField()

    class Meta:
        ordering = ["by", "rank"]
        constraints = [models.UniqueConstraint(fields=["by", "rank"], name="one_top_subject_per_rank")]

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d} {self.by} {self.rank}: {self.subject}"
