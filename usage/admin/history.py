"""The ladder's history: read, never edited."""

from django.contrib import admin
from django.utils.html import format_html
from django.utils.text import Truncator

from accounts.admin.read_only import ReadOnlyAdmin
from usage.admin.subjects import in_words
from usage.models import EscalationEvent


@admin.register(EscalationEvent)
class EscalationEventAdmin(ReadOnlyAdmin[EscalationEvent]):
    list_display = ("at", "whose", "cause", "change", "why")
    list_filter = ("cause", "after")
    list_select_related = ("key__owner", "by")
    search_fields = (
        "subject",
        "key__secrets__start__startswith",
        "key__name",
        "key__owner__email",
        "by__email",
        "reason",
    )
    search_help_text = "A key's start or name, its owner's or a colleague's address, a reason, or ip:NETWORK."
    date_hierarchy = "at"

    @admin.display(description="whose", ordering="subject")
    def whose(self, event: EscalationEvent) -> str:
        return in_words(event.key, event.subject)

    @admin.display(description="by", ordering="by__email")
    def why(self, event: EscalationEvent) -> str:
        return format_html("{}<br>{}", event.by or "", Truncator(event.reason).chars(80))

    @admin.display(description="tier")
    def change(self, event: EscalationEvent) -> str:
        return f"{event.before} → {event.after}"
