"""An API key: who owns it, which limits it has, from where it may be used."""

from functools import reduce
from operator import or_
from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models.key_secret import KeySecret
from accounts.models.revision import Revised
from accounts.models.tier import LimitField, Tier
from accounts.tiers import LIMIT_KINDS, Limits

# A query that says it like this is answered from an index of these few keys.
HAS_OVERRIDES = reduce(or_, (models.Q(**{f"{kind}_override__isnull": False}) for kind in LIMIT_KINDS))


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def owned_by(self, user: models.Model) -> Self:
        return self.filter(owner=user)

    def in_force(self) -> Self:
        """Those that aren't revoked."""
        return self.exclude(status=ApiKey.Status.REVOKED)

    def with_overrides(self) -> Self:
        """Those that have at least one limit of their own."""
        return self.filter(HAS_OVERRIDES)

    def started_with(self, start: str) -> Self:
        """Keys by the visible start of any secret they have or had, as pages, mails and logs show it."""
        return self.filter(pk__in=KeySecret.objects.filter(start=start).values("key"))


class ApiKey(Revised):
    """What limits, the ladder and the books count against. Rotating gives it another secret
    (`accounts.KeySecret`) and changes nothing else: old and new share one quota because they are one key.
    """

    class Status(models.TextChoices):
        ACTIVE = "active"
        SUSPENDED = "suspended"
        REVOKED = "revoked"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    tier = models.ForeignKey(Tier, models.PROTECT, related_name="api_keys")
    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE)
    # The newest secret's, so that a list of keys needs no other table.
    start = models.CharField(max_length=16, editable=False, db_index=True, help_text="What pages show of it.")
    end = models.CharField(max_length=8, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField("expires", null=True, blank=True, help_text="Empty: never.")
    allowed_networks = models.JSONField(
        "allow-list",
        default=list,
        blank=True,
        help_text="Networks it may be used from. Empty: from anywhere.",
    )
    is_rehearsal = models.BooleanField(
        "rehearsal key",
        default=False,
        db_default=False,
        editable=False,
        help_text="Answers any refusal on demand, is never charged, and converts nothing.",
    )
    # Of the form that it was made by: the same form sent twice makes one key.
    form_id = models.UUIDField(null=True, unique=True, editable=False)

    minute_override = LimitField("requests per minute")
    day_override = LimitField("requests per UTC day")
    concurrent_override = LimitField("concurrent requests")
    parallel_override = LimitField("parallel jobs")
    queued_override = LimitField("queued jobs")

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at"]
        # For pages of staff, which count a tier's keys: 8 ms for 100,000.
        indexes = [
            models.Index(fields=["tier"], name="api_keys_in_force", condition=~models.Q(status="revoked")),
            models.Index(fields=["tier"], name="api_keys_with_overrides", condition=HAS_OVERRIDES),
        ]
        permissions = [
            ("revoke_apikey", "Can revoke API keys"),
            ("suspend_apikey", "Can suspend and reactivate API keys"),
            ("override_apikey", "Can give API keys a tier and limits of their own"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.start}…)"

    def revoke(self) -> bool:
        """Refuse it from now on, for good; gives whether it wasn't revoked before."""
        if self.status == self.Status.REVOKED:
            return False
        self.status = self.Status.REVOKED
        self.save(update_fields=["status"])
        return True

    @property
    def overrides(self) -> dict[str, int]:
        """The limits that are this key's own, by kind."""
        own = ((kind, getattr(self, f"{kind}_override")) for kind in LIMIT_KINDS)
        return {kind: number for kind, number in own if number is not None}

    @property
    def limits(self) -> Limits:
        """The limits in force: each is the key's override where there is one, else its tier's."""
        return self.tier.limits._replace(**self.overrides)

    @property
    def has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()
