"""Jobs and downloads as the staff sees them, to look at and to delete; webhooks, to look at alone."""

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin.audited import AuditedAdmin
from accounts.admin.read_only import ReadOnlyAdmin
from images.models import Download, Job, WebhookAttempt, WebhookDelivery, WebhookEndpoint


class ToLookAt:
    """Rows that the API makes and nobody edits."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Job)
class JobAdmin(ToLookAt, AuditedAdmin[Job]):
    list_display = [
        "id",
        "status",
        "owner",
        "subject_id",
        "input_format",
        "output_format",
        "created_at",
        "error_code",
    ]
    list_filter = ["status", "output_format", "created_at"]
    list_select_related = ["owner"]
    search_fields = ["id", "owner__email", "subject_id"]
    date_hierarchy = "created_at"


@admin.register(Download)
class DownloadAdmin(ToLookAt, AuditedAdmin[Download]):
    list_display = ["job", "uses_left", "created_at", "used_at", "expires_at"]
    list_select_related = ["job"]
    search_fields = ["job__id"]


class AttemptsInline(admin.TabularInline[WebhookAttempt, WebhookDelivery]):
    model = WebhookAttempt
    fields = ["at", "status_code", "error", "milliseconds"]
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


# Of an address staff see the host alone: the rest of it may be what opens it, and is its owner's.
@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin[WebhookEndpoint]):
    fields = ["__str__", "owner", "created_at", "last_used_at", "disabled_at", "is_gone"]
    list_display = ["__str__", "owner", "last_used_at", "disabled_at", "is_gone"]
    list_filter = ["is_gone", "last_used_at"]
    list_select_related = ["owner"]
    search_fields = ["owner__email"]


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin[WebhookDelivery]):
    list_display = ["id", "event", "status", "owner", "endpoint", "attempts", "created_at", "next_attempt_at"]
    list_filter = ["status", "event", "created_at"]
    list_select_related = ["owner", "endpoint"]
    search_fields = ["id", "about", "owner__email"]
    inlines = [AttemptsInline]
