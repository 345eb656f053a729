"""Mail that is owed: a row, written in the transaction that gives cause for it, sent by the worker."""

from datetime import datetime
from typing import ClassVar, Self, TypeVar

from django.db import models
from django.utils import timezone

Owed = TypeVar("Owed", bound="OwedMail")


class OwedMailQuerySet(models.QuerySet[Owed]):
    def waiting(self) -> Self:
        return self.filter(sent_at=None, given_up_at=None)

    def due(self, now: datetime) -> Self:
        """What is to be sent, the longest due first."""
        return self.waiting().filter(due_at__lte=now).order_by("due_at", "id")


class OwedMail(models.Model):
    """An email that waits until it is sent, or given up: then `error` says why, and nobody tries again."""

    # Fields of text that are of no use any more once it is sent or given up.
    emptied_at_its_end: ClassVar[tuple[str, ...]] = ()

    created_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now, help_text="Not to be tried before.")
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True, help_text="Of the last attempt.")
    sent_at = models.DateTimeField(null=True, blank=True)
    given_up_at = models.DateTimeField(null=True, blank=True, help_text="Nobody would have gained by it.")

    class Meta:
        abstract = True
        ordering = ["-created_at"]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=models.Q(sent_at=None, given_up_at=None),
                name="%(class)s_waiting_due",
            )
        ]

    def claim(self, until: datetime) -> bool:
        """Whether this email is the caller's to send: it is still due as it was when it was read.

        Its due time moves on: whatever becomes of the caller, it is due again when the claim is over.
        """
        unclaimed = type(self)._default_manager.filter(
            pk=self.pk, due_at=self.due_at, sent_at=None, given_up_at=None
        )
        if not unclaimed.update(due_at=until, attempts=models.F("attempts") + 1):
            return False
        self.due_at, self.attempts = until, self.attempts + 1
        return True

    def book_as_sent(self, now: datetime) -> None:
        self.sent_at = now
        self._end("")

    def postpone(self, until: datetime, error: str) -> None:
        self.due_at, self.error = until, error
        self.save(update_fields=["due_at", "error"])

    def give_up(self, now: datetime, why: str) -> None:
        self.given_up_at = now
        self._end(why)

    def _end(self, error: str) -> None:
        self.error = error
        for field in self.emptied_at_its_end:
            setattr(self, field, "")
        self.save(update_fields=["sent_at", "given_up_at", "error", *self.emptied_at_its_end])
