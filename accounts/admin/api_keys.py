"""API keys in Django's admin. What the ladder adds to it, `usage` knows."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts import api_keys
from accounts.action_page import action_page, is_confirmed
from accounts.models import ApiKey
from accounts.tiers import LIMIT_KINDS


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin[ApiKey]):
    list_display = ("start", "name", "owner", "tier", "status", "expires_at", "created_at")
    list_filter = ("status", "tier")
    list_select_related = ["owner", "tier"]
    search_fields = ("start", "name", "owner__email")
    autocomplete_fields = ("owner",)
    actions: Sequence[Any] = ["revoke"]
    # Its status changes by actions, which say what follows from it.
    readonly_fields = ("status", "start", "end", "created_at")
    overrides = tuple(f"{kind}_override" for kind in LIMIT_KINDS)

    def get_fieldsets(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        identity = ("owner", "name", "tier", "expires_at")
        shown = ("start", "end", "created_at")
        return (
            (None, {"fields": (*identity, "status", *shown) if obj else identity}),
            (
                "This key's own limits",
                {
                    "fields": self.overrides,
                    "description": "Each replaces its tier's number; empty: the tier's.",
                },
            ),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """What a key used is counted under its owner: it doesn't change hands."""
        return (*self.readonly_fields, "owner") if obj else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """A key's history is kept with it: keys are revoked."""
        return False

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        if not is_confirmed(request):
            return action_page(
                self,
                request,
                action="revoke",
                title="Revoke API keys",
                consequence="These keys are refused from the next request on, for good: whatever uses them "
                "stops working. Nobody can take it back.",
                button="Revoke",
                rows=[(key.pk, _before_revoking(key)) for key in queryset],
            )
        for key in queryset:
            if key.revoke():
                self.log_change(request, key, "Revoked.")
                self.message_user(request, f"Revoked: {key}.", messages.SUCCESS)
            else:
                self.message_user(request, f"Revoked before: {key}.", messages.WARNING)
        return None

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return super().get_queryset(request).select_related("owner", "tier")

    def save_model(
        self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm[ApiKey], change: bool
    ) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        fields = {name: form.cleaned_data[name] for name in (*self.overrides, "expires_at")}
        key, text = api_keys.issue(obj.owner, name=obj.name, tier=obj.tier, **fields)
        obj.pk, obj.start = key.pk, key.start
        request.issued_text = text  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The key's text, once, on a page of its own: a message would be kept in a cookie or a session."""
        context = {
            **self.admin_site.each_context(request),
            "title": "Copy the new key now",
            "key": obj,
            "text": request.issued_text,  # type: ignore[attr-defined]
            "opts": self.opts,
        }
        response = TemplateResponse(request, "admin/accounts/apikey/issued.html", context)
        response["Cache-Control"] = "no-store"
        return response


def _before_revoking(key: ApiKey) -> str:
    words = f"{key} of {key.owner}"
    return f"{words}: revoked already" if key.status == ApiKey.Status.REVOKED else words
