"""Jobs and downloads as the staff sees them: to look at, and to delete."""

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin.audited import AuditedAdmin
from images.models import Download, Job


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
