"""Mail that is owed, of either kind: what was sent, what waits and why."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.http import HttpRequest
from django.utils.html import format_html

from accounts.admin.audited import person
from accounts.admin.read_only import ReadOnlyAdmin
from accounts.mail.trying_again import try_again
from accounts.models.owed_mail import Owed, OwedMailQuerySet


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


class OwedMailAdmin(ReadOnlyAdmin[Owed]):
    date_hierarchy = "created_at"
    actions = ("try_again",)

    @admin.display(description="outcome")
    def outcome(self, mail: Owed) -> str:
        if mail.sent_at is not None:
            what = f"sent {mail.sent_at:%Y-%m-%d %H:%M} UTC"
        elif mail.given_up_at is not None:
            what = "given up"
        else:
            what = f"waits until {mail.due_at:%Y-%m-%d %H:%M} UTC"
        return format_html("{}<br>{}", what, mail.error)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        may_change = f"{self.opts.app_label}.{get_permission_codename('change', self.opts)}"
        return request.user.has_perm(may_change)

    @admin.action(description="Try again now", permissions=["retry"])
    def try_again(self, request: HttpRequest, queryset: OwedMailQuerySet[Owed]) -> None:
        due = try_again(queryset, by=person(request))
        self.message_user(request, f"The worker sends {due} within seconds.", messages.SUCCESS)
