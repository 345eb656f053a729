"""The mail that is owed: what was sent, what waits and why."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.html import format_html

from accounts.admin.audited import person
from accounts.mail.trying_again import try_again
from usage.admin.read_only import ReadOnlyAdmin
from usage.admin.subjects import in_words
from usage.models import Notice


class OutcomeFilter(admin.SimpleListFilter):
    title = "outcome"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("unsent", "waits"), ("failing", "waits, after an error"), ("given_up", "given up")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "unsent":
                return queryset.waiting()
            case "failing":
                return queryset.waiting().exclude(error="")
            case "given_up":
                return queryset.exclude(given_up_at=None)
        return queryset


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin[Notice]):
    list_display = ("created_at", "kind", "outcome", "whose", "attempts")
    list_filter = (OutcomeFilter, "kind")
    list_select_related = ("key__owner",)
    search_fields = ("key__start", "key__name", "key__owner__email", "error")
    search_help_text = "A key's start or name, its owner's address, or an error."
    date_hierarchy = "created_at"
    actions = ("try_again",)

    @admin.display(description="to", ordering="key__owner__email")
    def whose(self, notice: Notice) -> str:
        return in_words(notice.key, "")

    @admin.display(description="outcome")
    def outcome(self, notice: Notice) -> str:
        if notice.sent_at is not None:
            what = f"sent {notice.sent_at:%Y-%m-%d %H:%M} UTC"
        elif notice.given_up_at is not None:
            what = "given up"
        else:
            what = f"waits until {notice.due_at:%Y-%m-%d %H:%M} UTC"
        return format_html("{}<br>{}", what, notice.error)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("usage.change_notice")

    @admin.action(description="Try again now", permissions=["retry"])
    def try_again(self, request: HttpRequest, queryset: Any) -> None:
        due = try_again(queryset, by=person(request))
        self.message_user(request, f"The worker sends {due} within seconds.", messages.SUCCESS)
