"""What people wrote to us: staff read it, and note that it is answered."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit
from accounts.admin.audited import AuditedAdmin, person
from accounts.models import ContactMessage


class OutcomeFilter(admin.SimpleListFilter):
    title = "what became of it"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("waits", "waits for an answer"), ("answered", "answered"), ("spam", "sent by a machine")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "waits":
                return queryset.filter(answered_at=None, is_spam=False)
            case "answered":
                return queryset.exclude(answered_at=None)
            case "spam":
                return queryset.filter(is_spam=True)
        return queryset


@admin.register(ContactMessage)
class ContactMessageAdmin(AuditedAdmin[ContactMessage]):
    list_display = ("sent_at", "subject", "email", "outcome")
    list_display_links = ("sent_at", "subject")
    list_filter = (OutcomeFilter,)
    list_select_related = ("sender",)
    search_fields = ("email", "subject", "text", "sender__email")
    search_help_text = "An address, or words of the message."
    date_hierarchy = "sent_at"
    actions: Sequence[Any] = ["mark_answered"]
    fieldsets = (
        (None, {"fields": ("sent_at", "email", "sender", "subject", "text")}),
        ("What became of it", {"fields": ("answered_at", "is_spam")}),
    )

    @admin.display(description="what became of it", ordering="answered_at")
    def outcome(self, message: ContactMessage) -> str:
        if message.answered_at is not None:
            return f"answered {message.answered_at:%Y-%m-%d %H:%M} UTC"
        return "sent by a machine" if message.is_spam else "waits for an answer"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ContactMessage | None = None) -> bool:
        """Nobody edits what somebody else wrote."""
        return False

    def has_answer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_contactmessage")

    @admin.action(description="Mark as answered", permissions=["answer"])
    def mark_answered(self, request: HttpRequest, queryset: QuerySet[ContactMessage]) -> None:
        now, marked = timezone.now(), 0
        with transaction.atomic():
            # Locked by their numbers: a list that is searched may join what can't be locked.
            chosen = ContactMessage.objects.filter(pk__in=queryset.values("pk"), answered_at=None)
            for message in chosen.select_for_update():
                message.answered_at = now
                message.save(update_fields=["answered_at"])
                answered = {"answered_at": now.isoformat()}
                audit.record(
                    "marked as answered",
                    message,
                    by=person(request),
                    before={"answered_at": None},
                    after=answered,
                )
                marked += 1
        self.message_user(request, f"Marked as answered: {marked}.", messages.SUCCESS)
