"""Suspend and reactivate, as actions on a list: a page says what will happen and asks for the reason."""

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from accounts.action_page import action_page, is_confirmed
from accounts.admin.audited import person
from accounts.models import ApiKey
from accounts.reasons import reason_field
from usage.escalation.ladder import SUSPENDED, Ladder
from usage.escalation.policy import read_ladder
from usage.escalation.reactivation import NotPossible, reactivate, suspend


class ReasonToldForm(forms.Form):
    """For what the owner of a key is told with its reason."""

    reason = reason_field("The key's owner reads it in the email, and your colleagues in the audit log.")


class LadderActions(admin.ModelAdmin[Any]):
    """For an admin whose rows are API keys or belong to one each: `key_of` says to which."""

    actions: Sequence[Any] = ["suspend_keys", "reactivate_on_probation", "reactivate_clean"]

    def key_of(self, row: Any) -> ApiKey | None:
        """`None` for an address, which nobody suspends or reactivates."""
        raise NotImplementedError

    def has_suspend_permission(self, request: HttpRequest) -> bool:
        """Who may suspend may also reactivate: a mistake must not wait for somebody else."""
        return request.user.has_perm("accounts.suspend_apikey")

    @admin.action(description="Suspend", permissions=["suspend"])
    def suspend_keys(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        def do(key: ApiKey, reason: str) -> str:
            suspend(key, by=person(request), reason=reason)
            return "Suspended"

        return self._ask_or_do(
            request,
            queryset,
            do,
            action="suspend_keys",
            title="Suspend API keys",
            consequence="These keys are answered with 403 from the next request on, until a person "
            "reactivates them. What is ready can still be downloaded. Each owner gets an email.",
            button="Suspend",
        )

    @admin.action(description="Reactivate on probation", permissions=["suspend"])
    def reactivate_on_probation(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        ladder = read_ladder()
        tier = ladder.on_probation(SUSPENDED)
        return self._reactivate(
            request,
            queryset,
            clean=False,
            action="reactivate_on_probation",
            title="Reactivate API keys on probation",
            consequence="These keys work again from the next request on. What happened is remembered: they "
            f"stand on tier {tier} ({ladder.steps[tier].name}), or lower if they did. "
            f"{_after_reactivation(ladder)}",
        )

    @admin.action(description="Reactivate clean", permissions=["suspend"])
    def reactivate_clean(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._reactivate(
            request,
            queryset,
            clean=True,
            action="reactivate_clean",
            title="Reactivate API keys clean",
            consequence="These keys work again from the next request on. Nothing of what happened is held "
            f"against them. {_after_reactivation(read_ladder())}",
        )

    def _reactivate(
        self, request: HttpRequest, queryset: QuerySet[Any], *, clean: bool, **page: Any
    ) -> HttpResponse | None:
        def do(key: ApiKey, reason: str) -> str:
            escalation = reactivate(key, by=person(request), reason=reason, clean=clean)
            return f"Reactivated at tier {escalation}"

        return self._ask_or_do(request, queryset, do, button="Reactivate", **page)

    def _ask_or_do(
        self, request: HttpRequest, queryset: QuerySet[Any], do: Callable[[ApiKey, str], str], **page: Any
    ) -> HttpResponse | None:
        form = ReasonToldForm(request.POST if is_confirmed(request) else None)
        rows = [(row.pk, self.key_of(row), str(row)) for row in queryset]
        if not form.is_valid():
            words = [(pk, _as_it_stands(key) if key else f"{name}: no key") for pk, key, name in rows]
            return action_page(self, request, rows=words, form=form, **page)
        for _, key, name in rows:
            try:
                if key is None:
                    raise NotPossible("An address is neither suspended nor reactivated: it changes hands.")
                what = do(key, form.cleaned_data["reason"])
            except NotPossible as why_not:
                self.message_user(request, f"Left alone: {key or name}. {why_not}", messages.WARNING)
            else:
                self.log_change(request, key, f"{what}: {form.cleaned_data['reason']}")
                self.message_user(request, f"{what}: {key}.", messages.SUCCESS)
        return None


def _after_reactivation(ladder: Ladder) -> str:
    return f"For {ladder.grace_seconds} s nothing strikes. Each owner gets an email."


def _as_it_stands(key: ApiKey) -> str:
    state = getattr(key, "escalation_state", None)
    tier = "" if state is None or state.escalation == 0 else f", escalation tier {state.escalation}"
    until = "" if state is None or state.until is None else f" until {state.until:%Y-%m-%d %H:%M} UTC"
    return f"{key} of {key.owner}: {key.get_status_display().lower()}{tier}{until}"
