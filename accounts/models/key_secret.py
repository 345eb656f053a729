"""The secrets of an API key: one at a time, two or more while a rotation lets the old ones overlap."""

from datetime import datetime
from typing import Self

from django.db import models
from django.utils import timezone


class KeySecretQuerySet(models.QuerySet["KeySecret"]):
    def working(self, now: datetime) -> Self:
        """Those that haven't been rotated out, the newest first."""
        return self.filter(models.Q(retires_at=None) | models.Q(retires_at__gt=now)).order_by("-pk")


class KeySecret(models.Model):
    """What a client sends. Its text is shown once and never stored: `digest` is its HMAC-SHA256 under a
    versioned pepper.

    The newest has no `retires_at`. Rotating gives the one before it an end; until then both are the same key,
    with one quota and one place on the ladder.
    """

    key = models.ForeignKey("accounts.ApiKey", models.CASCADE, related_name="secrets")
    digest = models.CharField(max_length=64, editable=False)
    pepper_version = models.PositiveSmallIntegerField(editable=False)
    start = models.CharField(max_length=16, editable=False, db_index=True, help_text="What pages show of it.")
    end = models.CharField(max_length=8, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    retires_at = models.DateTimeField(null=True, blank=True, help_text="Rotated out: refused from then on.")
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")

    objects = KeySecretQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            # Not `unique=True`, which on PostgreSQL makes a second index, for LIKE.
            models.UniqueConstraint(fields=["digest"], name="one_secret_per_digest")
        ]

    def __str__(self) -> str:
        return f"{self.start}…{self.end}"

    @property
    def is_rotated_out(self) -> bool:
        return self.retires_at is not None and self.retires_at <= timezone.now()
