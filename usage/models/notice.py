"""Mail that is owed to the owner of a key."""

from django.db import models

from accounts.models import ApiKey
from accounts.models.owed_mail import OwedMail, OwedMailQuerySet


class Notice(OwedMail):
    """An email to the owner of a key. `once` names its occasion, so that no occasion is told twice."""

    class Kind(models.TextChoices):
        DAY_BLOCK = "day_block", "day block"
        SUSPENSION = "suspension"
        REACTIVATION = "reactivation"
        SUSPENSION_KEPT = "suspension_kept", "suspension kept"
        QUOTA_NEAR = "quota_near", "80 % of the day"
        QUOTA_SPENT = "quota_spent", "100 % of the day"
        KEY_CREATED = "key_created", "key created"
        KEY_ROTATED = "key_rotated", "key rotated"
        KEY_EXPIRING = "key_expiring", "key about to expire"

    QUOTA_KINDS = frozenset({Kind.QUOTA_NEAR, Kind.QUOTA_SPENT})

    once = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=16, choices=Kind)
    key = models.ForeignKey(ApiKey, models.CASCADE, related_name="notices")
    facts = models.JSONField(default=dict, help_text="What the email tells, as it was then.")

    objects: "OwedMailQuerySet[Notice]" = OwedMailQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"{self.kind} for {self.key}"
