"""The audit log: who changed what, what it was before and after, and why."""

from collections.abc import Sequence
from typing import Any, NoReturn, Self

from django.conf import settings
from django.db import models
from django.utils import timezone


class AppendOnly(TypeError):
    """An entry of the audit log is written once."""


class AuditEntryQuerySet(models.QuerySet["AuditEntry"]):
    def about(self, target: models.Model) -> Self:
        return self.filter(target_type=target._meta.label_lower, target_id=str(target.pk))

    def newest_about(self, targets: Sequence[models.Model]) -> dict[str, "AuditEntry"]:
        """The last entry about each of some rows of one table, by primary key as text. One query."""
        if not targets:
            return {}
        about = self.filter(target_type=targets[0]._meta.label_lower)
        last = about.filter(target_id__in=[str(one.pk) for one in targets]).order_by()
        newest = last.values("target_id").annotate(last=models.Max("pk")).values("last")
        return {entry.target_id: entry for entry in self.filter(pk__in=newest)}

    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnly("Audit entries are never changed.")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("Audit entries are never changed.")


class AuditEntry(models.Model):
    """One action on one thing. It names both in words of that time, so that it outlives them."""

    at = models.DateTimeField(default=timezone.now)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="audit_entries", editable=False
    )
    actor_label = models.CharField("who", max_length=254)
    action = models.CharField(max_length=40)
    target_type = models.CharField(max_length=40)
    target_id = models.CharField(max_length=64)
    target_label = models.CharField("what", max_length=254)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    reason = models.TextField("why", blank=True)
    # The one that the action left its target in, where that has any (`Revised`).
    revision = models.PositiveBigIntegerField(null=True, editable=False)

    objects = AuditEntryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-at", "-id"]
        # All in the log's order, so that a page of a log of any length is read from one of them.
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_entries_newest"),
            models.Index(fields=["actor_label", "-at", "-id"], name="audit_entries_by_actor"),
            models.Index(fields=["action", "-at", "-id"], name="audit_entries_by_action"),
            models.Index(fields=["target_type", "-at", "-id"], name="audit_entries_by_kind"),
            models.Index(fields=["target_type", "target_id", "-at", "-id"], name="audit_entries_about"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor_label}: {self.action} {self.target_label}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Raises `AppendOnly` for an entry that is there already."""
        if not self._state.adding:
            raise AppendOnly("An audit entry is never changed.")
        super().save(*args, **kwargs)
