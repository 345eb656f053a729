"""Endpoint limits in Django's admin: code knows them by name, so there are never more or fewer."""

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin.audited import AuditedAdmin
from accounts.models import EndpointLimit


@admin.register(EndpointLimit)
class EndpointLimitAdmin(AuditedAdmin[EndpointLimit]):
    list_display = ("name", "description", "requests", "seconds")
    readonly_fields = ("name", "description")
    fieldsets = (
        (None, {"fields": ("name", "description")}),
        (
            "From one address",
            {
                "fields": ("requests", "seconds"),
                "description": "In force within 2 seconds. No number of requests means no limit.",
            },
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: EndpointLimit | None = None) -> bool:
        return False
