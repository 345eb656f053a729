"""A replay: what a proposed change of a tier or of the ladder would have done on the recorded days."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class Replay(models.Model):
    """Asked for by a page, run by the worker, read by the page again.

    `current` and `proposed` are plain JSON: of a tier its limits by kind (`{"minute": 30, "day": null, …}`),
    of the ladder the numbers of its policy and steps. `result` is described by `usage.replay.result`.
    `progress` is in percent while it runs.
    """

    class Subject(models.TextChoices):
        TIER = "tier"
        LADDER = "ladder"

    class Status(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    about = models.CharField(max_length=8, choices=Subject)
    slug = models.CharField(max_length=50, blank=True, help_text="Of the tier.")
    current = models.JSONField()
    proposed = models.JSONField()
    asked_at = models.DateTimeField(default=timezone.now, db_index=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    status = models.CharField(max_length=8, choices=Status, default=Status.WAITING)
    progress = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)
    result = models.JSONField(null=True, blank=True)

    class Meta:
        ordering = ["-asked_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.about} {self.slug} at {self.asked_at:%Y-%m-%d %H:%M}".replace("  ", " ")

    @property
    def is_open(self) -> bool:
        """Whether it isn't over yet."""
        return self.status in (self.Status.WAITING, self.Status.RUNNING)
