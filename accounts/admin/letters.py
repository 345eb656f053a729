"""Letters, as staff see them: to whom, of which kind, and what became of them; never what they say."""

from django.contrib import admin

from accounts.admin.owed_mail import OutcomeFilter, OwedMailAdmin
from accounts.models import Letter


@admin.register(Letter)
class LetterAdmin(OwedMailAdmin[Letter]):
    list_display = ("created_at", "kind", "outcome", "recipient", "attempts")
    list_filter = (OutcomeFilter, "kind")
    search_fields = ("recipient", "kind", "error")
    search_help_text = "An address, a kind, or an error."
