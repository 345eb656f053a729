"""What staff took back of a subject's counters: the books keep it, the limits don't count it."""

from datetime import datetime
from typing import Self

from django.db import models


class CounterResetQuerySet(models.QuerySet["CounterReset"]):
    def on(self, day: datetime) -> Self:
        """Of the UTC day that starts at `day`."""
        return self.filter(day=day)


class CounterReset(models.Model):
    """One order of staff, which `order` names: the same form sent twice is carried out once.

    Of the requests that the books have of the subject's UTC day, `forgiven` don't count against its limit.
    Whoever makes a day's count out of the books needs that: for a limit store that was lost, for mail about
    quotas. Kept until the day is over.
    """

    order = models.UUIDField(unique=True)
    subject = models.CharField(max_length=64, help_text="k:<key id> or ip:<network>")
    bucket = models.PositiveSmallIntegerField()
    day = models.DateTimeField(help_text="The UTC day's start.")
    forgiven = models.PositiveIntegerField(default=0)

    objects = CounterResetQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["day", "subject"], name="counter_reset_day_subject")]

    def __str__(self) -> str:
        return f"{self.subject} {self.day:%Y-%m-%d}: {self.forgiven}"
