"""What the ladder adds to the admin of API keys, which knows nothing of it."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin.api_keys import ApiKeyAdmin
from accounts.models import ApiKey
from usage.admin.ladder_actions import LadderActions

admin.site.unregister(ApiKey)


@admin.register(ApiKey)
class ApiKeyOnTheLadderAdmin(LadderActions, ApiKeyAdmin):
    actions: Sequence[Any] = [*ApiKeyAdmin.actions, *LadderActions.actions]
    list_select_related = [*ApiKeyAdmin.list_select_related, "escalation_state"]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns: list[Any] = list(super().get_list_display(request))
        columns.insert(columns.index("status") + 1, "escalation")
        return columns

    @admin.display(description="escalation tier", ordering="escalation_state__escalation", empty_value="0")
    def escalation(self, key: ApiKey) -> int | None:
        state = getattr(key, "escalation_state", None)
        return state.escalation if state else 0

    def key_of(self, row: ApiKey) -> ApiKey | None:
        return row
