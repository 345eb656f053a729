"""Mail that is owed: written in the transaction that gives cause for it, sent by the worker."""

from datetime import datetime
from typing import Self

from django.db import models
from django.utils import timezone

from accounts.models import ApiKey


class NoticeQuerySet(models.QuerySet["Notice"]):
    def waiting(self) -> Self:
        return self.filter(sent_at=None, given_up_at=None)

    def due(self, now: datetime) -> Self:
        """What is to be sent, the longest due first."""
        return self.waiting().filter(due_at__lte=now).order_by("due_at", "id")


class Notice(models.Model):
    """An email to the owner of a key. `once` names its occasion, so that no occasion is told twice.

    It waits until it is sent, or given up: then `error` says why, and nobody tries it again.
    """

    class Kind(models.TextChoices):
        DAY_BLOCK = "day_block", "day block"
        SUSPENSION = "suspension"
        REACTIVATION = "reactivation"
        QUOTA_NEAR = "quota_near", "80 % of the day"
        QUOTA_SPENT = "quota_spent", "100 % of the day"

    QUOTA_KINDS = frozenset({Kind.QUOTA_NEAR, Kind.QUOTA_SPENT})

    once = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=16, choices=Kind)
    key = models.ForeignKey(ApiKey, models.CASCADE, related_name="notices")
    facts = models.JSONField(default=dict, help_text="What the email tells, as it was then.")
    created_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now, help_text="Not to be tried before.")
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True, help_text="Of the last attempt.")
    sent_at = models.DateTimeField(null=True, blank=True)
    given_up_at = models.DateTimeField(null=True, blank=True, help_text="Nobody would have gained by it.")

    objects = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=models.Q(sent_at=None, given_up_at=None),
                name="notice_waiting_due",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} for {self.key}"

    def book_as_sent(self, now: datetime) -> None:
        self.sent_at, self.error = now, ""
        self.save(update_fields=["sent_at", "error"])

    def postpone(self, until: datetime, error: str) -> None:
        self.due_at, self.error = until, error
        self.save(update_fields=["due_at", "error"])

    def give_up(self, now: datetime, why: str) -> None:
        self.given_up_at, self.error = now, why
        self.save(update_fields=["given_up_at", "error"])
