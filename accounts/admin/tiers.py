"""Tiers in Django's admin: the numbers that most subjects are limited by."""

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin.audited import AuditedAdmin
from accounts.models import Tier
from accounts.tiers import LIMIT_KINDS


@admin.register(Tier)
class TierAdmin(AuditedAdmin[Tier]):
    list_display = ("name", "slug", *LIMIT_KINDS)
    fieldsets = (
        (None, {"fields": ("name", "slug", "description")}),
        (
            "Limits",
            {
                "fields": LIMIT_KINDS,
                "description": "In force at the next request. An empty limit means no limit.",
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Tier | None = None) -> tuple[str, ...]:
        """A tier's slug is how code, commands and the limit store know it."""
        return ("slug",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Tier | None = None) -> bool:
        """The seeded tiers are what guests and new keys get."""
        seeded = obj is not None and obj.slug in {Tier.ANONYMOUS, Tier.FREE}
        return not seeded and super().has_delete_permission(request, obj)
