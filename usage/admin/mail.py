"""Mail about keys that is owed: what was sent, what waits and why."""

from django.contrib import admin

from accounts.admin.owed_mail import OutcomeFilter, OwedMailAdmin
from usage.admin.subjects import in_words
from usage.models import Notice


@admin.register(Notice)
class NoticeAdmin(OwedMailAdmin[Notice]):
    list_display = ("created_at", "kind", "outcome", "whose", "attempts")
    list_filter = (OutcomeFilter, "kind")
    list_select_related = ("key__owner",)
    search_fields = ("key__secrets__start__startswith", "key__name", "key__owner__email", "error")
    search_help_text = "A key's start or name, its owner's address, or an error."

    @admin.display(description="to", ordering="key__owner__email")
    def whose(self, notice: Notice) -> str:
        return in_words(notice.key, "")
