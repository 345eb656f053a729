"""A suspended customer's word to staff: what they changed, and what staff answered."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import ApiKey, User
from usage.models.escalation_state import EscalationEvent


class ReactivationRequestQuerySet(models.QuerySet["ReactivationRequest"]):
    def waiting(self) -> Self:
        """Those that staff haven't answered, the oldest first."""
        return self.filter(status=ReactivationRequest.Status.WAITING).order_by("sent_at", "pk")

    def settle(self, key: ApiKey, status: str, *, by: User | None, answer: str, at: datetime) -> int:
        """Whatever waits for an answer about the key has it; gives how many did."""
        return (
            self.waiting()
            .filter(key=key)
            .update(status=status, answered_by=by, answer=answer, answered_at=at)
        )


class ReactivationRequest(models.Model):
    """One request for one key. At most one of a key waits.

    `suspension` is the change that suspended the key, where it is in the history. `answer` is what staff say
    to the owner: why the key goes on, or why it stays suspended.
    """

    class Status(models.TextChoices):
        WAITING = "waiting"
        REACTIVATED = "reactivated"
        KEPT = "kept", "kept suspended"
        REVOKED = "revoked", "key revoked"

    key = models.ForeignKey(ApiKey, models.CASCADE, related_name="reactivation_requests")
    suspension = models.ForeignKey(
        EscalationEvent, models.SET_NULL, null=True, blank=True, related_name="reactivation_requests"
    )
    note = models.TextField("what did you change?")
    sent_at = models.DateTimeField(default=timezone.now)
    sent_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    status = models.CharField(max_length=12, choices=Status, default=Status.WAITING)
    answered_at: "models.DateTimeField[datetime | None, datetime | None]" = models.DateTimeField(
        null=True, blank=True
    )
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    answer = models.TextField(blank=True)

    objects = ReactivationRequestQuerySet.as_manager()

    class Meta:
        ordering = ["-sent_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["key"],
                condition=models.Q(status="waiting"),
                name="one_waiting_request_per_key",
            )
        ]
        indexes = [
            models.Index(
                fields=["sent_at"], condition=models.Q(status="waiting"), name="reactivation_request_waiting"
            )
        ]

    def __str__(self) -> str:
        return f"{self.key} at {self.sent_at:%Y-%m-%d %H:%M}"

    @property
    def is_waiting(self) -> bool:
        return self.status == self.Status.WAITING
