"""Django's admin for what was refused: to read, not to edit."""

from django.contrib import admin
from django.http import HttpRequest

from usage.models import RateHit


@admin.register(RateHit)
class RateHitAdmin(admin.ModelAdmin[RateHit]):
    list_display = ("minute", "subject", "kind", "route", "count")
    list_filter = ("kind", "route")
    search_fields = ("subject",)
    date_hierarchy = "minute"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: RateHit | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: RateHit | None = None) -> bool:
        return False
