"""Where subjects stand on the ladder, and how they came there. The store decides; this outlives it."""

from datetime import datetime
from typing import NamedTuple, Self

from django.conf import settings
from django.db import models
from django.db.models import Count

from accounts.models import ApiKey


class TierCount(NamedTuple):
    """How many subjects stand on a tier, and how many of them are in a block."""

    subjects: int
    blocked: int


NOBODY = TierCount(0, 0)


class EscalationStateQuerySet(models.QuerySet["EscalationState"]):
    def of_subject(self, subject_id: str) -> Self:
        return self.filter(subject=subject_id)

    def blocked_at(self, now: datetime) -> Self:
        return self.filter(escalation__range=(2, 4), until__gt=now)

    def suspended(self) -> Self:
        return self.filter(escalation=5)

    def counts_by_tier(self, now: datetime) -> dict[int, TierCount]:
        """By escalation tier from 1 up. Who went away stays where they were until they come back."""
        rows = self.filter(escalation__gt=0).order_by().values("escalation")
        counted = rows.annotate(subjects=Count("*"), blocked=Count("until", filter=models.Q(until__gt=now)))
        return {row["escalation"]: TierCount(row["subjects"], row["blocked"]) for row in counted}


class EscalationState(models.Model):
    """The newest change of a subject's place on the ladder; a subject without a row never left the ground.

    `version` grows with each change: of two, the higher is the newer. `is_pending` marks an order of
    staff that the limit store hasn't heard of yet.
    """

    subject = models.CharField(max_length=64, unique=True, help_text="k:<key id> or ip:<network>")
    bucket = models.PositiveSmallIntegerField(db_index=True)
    key = models.OneToOneField(ApiKey, models.CASCADE, null=True, blank=True, related_name="escalation_state")
    escalation = models.PositiveSmallIntegerField("escalation tier", default=0)
    until = models.DateTimeField("blocked until", null=True, blank=True)
    clean_since = models.DateTimeField(null=True, blank=True, help_text="From here the tier decays.")
    grace_until = models.DateTimeField(null=True, blank=True)
    version = models.PositiveBigIntegerField(default=0)
    is_pending = models.BooleanField("not in the limit store yet", default=False, db_index=True)
    order = models.CharField(max_length=80, blank=True, help_text="Of staff, the last: its event's id.")
    changed_at = models.DateTimeField()

    objects = EscalationStateQuerySet.as_manager()

    class Meta:
        ordering = ["-changed_at"]
        permissions = [("reset_counters", "Can reset counters and release leases")]
        indexes = [
            models.Index(
                fields=["-changed_at"],
                condition=models.Q(escalation=5),
                name="escalation_state_suspended",
            ),
            # Of those who are blocked, and never of the many that are on the ladder without it.
            models.Index(
                fields=["until"],
                condition=models.Q(escalation__range=(2, 4)),
                name="escalation_state_blocked",
            ),
            # How many stand on each tier, and how many of them are blocked, is answered from it alone.
            models.Index(
                fields=["escalation", "until"],
                name="escalation_state_by_tier",
                condition=models.Q(escalation__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject} at tier {self.escalation}"


class EscalationEventQuerySet(models.QuerySet["EscalationEvent"]):
    def of_subject(self, subject_id: str) -> Self:
        return self.filter(subject=subject_id)


class EscalationEvent(models.Model):
    """One change of a subject's place on the ladder, and why. Append-only.

    For strikes `minute` is the bad minute that tipped the scale, `served` and `refused` what happened in it
    and `minute_limit` the limit it broke; for what staff did, `by` and `reason` say who and why.
    """

    class Cause(models.TextChoices):
        STRIKES = "strikes"
        DECAY = "decay", "clean time"
        SUSPENDED = "suspended", "suspended by staff"
        REACTIVATED = "reactivated", "reactivated by staff"

    event_id = models.CharField(max_length=80, unique=True)
    subject = models.CharField(max_length=64)
    key = models.ForeignKey(ApiKey, models.SET_NULL, null=True, blank=True, related_name="escalation_events")
    at = models.DateTimeField()
    cause = models.CharField(max_length=12, choices=Cause)
    before = models.PositiveSmallIntegerField("from tier")
    after = models.PositiveSmallIntegerField("to tier")
    until = models.DateTimeField("blocked until", null=True, blank=True)
    strikes = models.PositiveSmallIntegerField(default=0)
    minute = models.DateTimeField("bad minute", null=True, blank=True)
    served = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    minute_limit = models.PositiveIntegerField(null=True, blank=True)
    route = models.CharField(max_length=32, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    reason = models.TextField(blank=True)

    objects = EscalationEventQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["subject", "-at"], name="escalation_event_subject")]

    def __str__(self) -> str:
        return f"{self.subject} {self.before} → {self.after} at {self.at:%Y-%m-%d %H:%M}"
