"""Where subjects stand on the ladder."""

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin.read_only import ReadOnlyAdmin
from accounts.models import ApiKey
from usage.admin.ladder_actions import LadderActions
from usage.admin.subjects import in_words
from usage.models import EscalationState, EscalationStep


class NowFilter(admin.SimpleListFilter):
    title = "now"
    parameter_name = "now"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("blocked", "blocked"),
            ("suspended", "suspended"),
            ("pending", "not in the limit store yet"),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "blocked":
                return queryset.blocked_at(timezone.now())
            case "suspended":
                return queryset.suspended()
            case "pending":
                return queryset.filter(is_pending=True)
        return queryset


@admin.register(EscalationState)
class EscalationStateAdmin(LadderActions, ReadOnlyAdmin[EscalationState]):
    actions = LadderActions.actions
    list_display = ("whose", "tier", "until", "changed_at", "is_pending")
    list_filter = (NowFilter, "escalation")
    list_select_related = ("key__owner",)
    search_fields = ("subject", "key__secrets__start__startswith", "key__name", "key__owner__email")
    search_help_text = "A key's start or name, its owner's address, or ip:NETWORK."

    def get_queryset(self, request: HttpRequest) -> QuerySet[EscalationState]:
        name = EscalationStep.objects.filter(number=OuterRef("escalation")).values("name")
        states: QuerySet[EscalationState] = super().get_queryset(request)
        return states.annotate(step_name=Subquery(name))

    @admin.display(description="whose", ordering="subject")
    def whose(self, state: EscalationState) -> str:
        return in_words(state.key, state.subject)

    @admin.display(description="escalation tier", ordering="escalation")
    def tier(self, state: Any) -> str:
        return f"{state.escalation} {state.step_name or 'Clear'}"

    def key_of(self, row: EscalationState) -> ApiKey | None:
        return row.key
