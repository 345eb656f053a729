"""The audit log in Django's admin: read, searched, taken along as CSV; deleted by superusers alone."""

from datetime import UTC
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from accounts.admin.audited import AuditedAdmin
from accounts.audit_log import choices
from accounts.audit_log.export import csv_of
from accounts.audit_log.filtering import by_customers
from accounts.audit_log.words import changes_of, kind_of
from accounts.models import AuditEntry


class WhoFilter(admin.SimpleListFilter):
    """Staff by name. Customers are too many for a list, and are found by searching."""

    title = "who"
    parameter_name = "who"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return choices.people()

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        match self.value():
            case None:
                return queryset
            case choices.CUSTOMERS:
                return queryset.filter(by_customers())
            case label:
                return queryset.filter(actor_label=label)


@admin.register(AuditEntry)
class AuditEntryAdmin(AuditedAdmin[AuditEntry]):
    # Few columns: at 1280 pixels, between the menu and the filters, there is room for no more.
    list_display = ("at", "who_did_what", "changes_and_why")
    list_filter = ("action", WhoFilter, "at", "target_type")
    search_fields = ("actor_label", "target_label", "reason", "action")
    search_help_text = "Who, what or why: an address, a key's start or name, a word of the reason."
    date_hierarchy = "at"
    show_full_result_count = False
    fieldsets = ((None, {"fields": ("at", "actor_label", "action", "what", "changes", "reason")}),)
    readonly_fields = ("what", "changes")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        """No permission is enough: whoever could give it to themselves could cover their tracks."""
        return bool(request.user.is_active and request.user.is_superuser)

    def facts_of_deleted(self, obj: AuditEntry) -> dict[str, Any]:
        """That it was there. What it told is gone: for nothing else would one be deleted."""
        return {
            "at": obj.at.astimezone(UTC).isoformat(),
            "actor_label": obj.actor_label,
            "action": obj.action,
        }

    @admin.display(description="who did what", ordering="actor_label")
    def who_did_what(self, entry: AuditEntry) -> SafeString:
        return format_html("{}<br>{} {}", entry.actor_label, entry.action, self.what(entry))

    @admin.display(description="before → after, and why")
    def changes_and_why(self, entry: AuditEntry) -> SafeString:
        why = format_html("<q>{}</q>", Truncator(entry.reason).chars(200)) if entry.reason else ""
        return format_html("{}{}", self.changes(entry), why)

    @admin.display(description="what", ordering="target_label")
    def what(self, entry: AuditEntry) -> str:
        return f"{kind_of(entry.target_type)} {entry.target_id}: {entry.target_label}"

    @admin.display(description="before → after")
    def changes(self, entry: AuditEntry) -> SafeString:
        return format_html_join("", "<div>{}</div>", ((change,) for change in changes_of(entry)))

    def get_urls(self) -> list[URLPattern]:
        csv = path("csv/", self.admin_site.admin_view(self.csv_view), name="accounts_auditentry_csv")
        return [csv, *super().get_urls()]

    def csv_view(self, request: HttpRequest) -> HttpResponseBase:
        """All that the list shows under the same query, not only its page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            entries = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(reverse("admin:accounts_auditentry_changelist") + "?e=1")
        return csv_of(entries)
