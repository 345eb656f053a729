"""The audit log in Django's admin: read, searched, taken along as CSV; deleted by superusers alone."""

import json
from collections.abc import Iterator
from datetime import UTC
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from accounts import audit
from accounts.admin.audited import AuditedAdmin
from accounts.csv_export import csv_response
from accounts.models import AuditEntry, User

COLUMNS = ("at", "who", "action", "what", "target", "why", "before", "after")
ROWS_AT_ONCE = 500
MOST_PEOPLE = 50


class WhoFilter(admin.SimpleListFilter):
    """Staff by name. Customers are too many for a list, and are found by searching."""

    title = "who"
    parameter_name = "who"
    CUSTOMERS = "customers"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        staff = User.objects.filter(is_staff=True).order_by("email").values_list("email", flat=True)
        people = [(email, email) for email in staff[:MOST_PEOPLE]]
        return [(audit.COMMAND_LINE, audit.COMMAND_LINE), (self.CUSTOMERS, "not staff"), *people]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        match self.value():
            case None:
                return queryset
            case self.CUSTOMERS:
                people = queryset.exclude(actor_label=audit.COMMAND_LINE)
                return people.exclude(actor__in=User.objects.filter(is_staff=True))
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
        return f"{_kind_of(entry)} {entry.target_id}: {entry.target_label}"

    @admin.display(description="before → after")
    def changes(self, entry: AuditEntry) -> SafeString:
        return format_html_join("", "<div>{}</div>", ((line,) for line in lines_of(entry)))

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
        return csv_response("audit-log.csv", COLUMNS, _cells(entries))


def _kind_of(entry: AuditEntry) -> str:
    """What the model is called; its name at that time if there is none of it any more."""
    try:
        return str(apps.get_model(entry.target_type)._meta.verbose_name)
    except LookupError:
        return entry.target_type


def lines_of(entry: AuditEntry) -> list[str]:
    """What changed, a field a line: `minute: 30 → 20`; of a list, what came and went."""
    return [
        _line(name, entry.before.get(name), entry.after.get(name)) for name in {**entry.before, **entry.after}
    ]


def _line(name: str, before: Any, after: Any) -> str:
    words = name.replace("_", " ")
    if isinstance(before, list) and isinstance(after, list):
        gone = [f"\u2212 {_shown(one)}" for one in before if one not in after]
        come = [f"+ {_shown(one)}" for one in after if one not in before]
        return f"{words}: {', '.join(gone + come)}"
    return f"{words}: {_shown(before)} → {_shown(after)}"


def _shown(value: Any) -> str:
    match value:
        case None | "" | [] | {}:
            return "empty"
        case str() if (at := parse_datetime(value)) is not None:
            return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at.tzinfo else value
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(_shown, value))
        case dict():
            return ", ".join(f"{name}: {_shown(one)}" for name, one in value.items())
    return str(value)


def _cells(entries: QuerySet[AuditEntry]) -> Iterator[tuple[str, ...]]:
    for entry in entries.iterator(chunk_size=ROWS_AT_ONCE):
        yield (
            entry.at.astimezone(UTC).isoformat(),
            entry.actor_label,
            entry.action,
            entry.target_label,
            f"{entry.target_type} {entry.target_id}",
            entry.reason,
            json.dumps(entry.before, ensure_ascii=False, sort_keys=True),
            json.dumps(entry.after, ensure_ascii=False, sort_keys=True),
        )
