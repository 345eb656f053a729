"""The ladder's numbers, which staff edit. A running block keeps the end it was given."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accounts.admin.audited import AuditedAdmin
from accounts.audited_form import AuditedForm
from usage.escalation.step_numbers import mistakes
from usage.models import EscalationPolicy, EscalationStep


class _Seeded:
    """Rows that a migration made: there are never more or fewer."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(EscalationPolicy)
class EscalationPolicyAdmin(_Seeded, AuditedAdmin[EscalationPolicy]):
    fieldsets = (
        (
            "What strikes",
            {
                "fields": ("strike_refusals", "strike_percent"),
                "description": "A clock minute is a strike if it has at least as many minute- or day-limit "
                "refusals as both numbers ask for. The steps tell how many strikes lead up.",
            },
        ),
        (
            "How it is forgiven",
            {
                "fields": ("warned_minutes", "forgive_minutes", "decay_hours"),
                "description": "Clean is a time without such a refusal, outside of a block.",
            },
        ),
        (
            "Blocks and reactivations",
            {
                "fields": ("grace_seconds", "probation", "guests_highest"),
                "description": "In force at the next request everywhere. A running block keeps its end.",
            },
        ),
    )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """There is one row: it is the page."""
        row = EscalationPolicy.ROW
        return HttpResponseRedirect(reverse("admin:usage_escalationpolicy_change", args=[row]))


class EscalationStepForm(AuditedForm[EscalationStep]):
    """A step has the numbers that the ladder asks it for, and no others."""

    class Meta:
        model = EscalationStep
        fields = ("name", "strikes", "block_seconds")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        numbers = {field: cleaned.get(field) for field in ("strikes", "block_seconds")}
        for field, why in mistakes(self.instance.number, **numbers).items():
            if field not in self.errors:
                self.add_error(field, why)
        return cleaned


@admin.register(EscalationStep)
class EscalationStepAdmin(_Seeded, AuditedAdmin[EscalationStep]):
    form = EscalationStepForm
    list_display = ("number", "name", "strikes", "block_seconds")
    list_display_links = ("number", "name")
    readonly_fields = ("number",)
    fieldsets = (
        (
            None,
            {
                "fields": ("number", "name", "strikes", "block_seconds"),
                "description": "In force at the next request everywhere. A running block keeps its end.",
            },
        ),
    )
