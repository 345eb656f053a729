"""API keys in Django's admin. What the ladder adds to it, `usage` knows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts import api_keys, signals
from accounts.action_page import ReasonForm, action_page, is_confirmed
from accounts.admin.audited import AuditedAdmin, person
from accounts.keys import actions
from accounts.keys.limits_form import OVERRIDES, AuditedLimitsForm
from accounts.models import ApiKey, KeySecret


class ApiKeyForm(AuditedLimitsForm):
    def clean_expires_at(self) -> datetime | None:
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if "expires_at" in self.changed_data and expires_at is not None and expires_at <= timezone.now():
            raise ValidationError("A key can't have ended in the past. To stop it now, revoke it.")
        return expires_at


@admin.register(ApiKey)
class ApiKeyAdmin(AuditedAdmin[ApiKey]):
    """Each thing that can be done to a key is a permission of its own: to change one renames it, at most."""

    form = ApiKeyForm
    added = "created"
    list_display = ("start", "name", "owner", "tier", "status", "is_rehearsal", "expires_at", "created_at")
    list_filter = ("status", "tier", "is_rehearsal")
    list_select_related = ["owner", "tier"]
    search_fields = ("secrets__start__startswith", "name", "owner__email")
    search_help_text = "The start of any of its secrets, its name, or its owner's address."
    autocomplete_fields = ("owner",)
    actions: Sequence[Any] = ["revoke"]
    # Its status changes by actions, which say what follows from it; its allow-list is its owner's.
    readonly_fields = ("status", "is_rehearsal", "secrets", "allow_list", "created_at")

    def get_fieldsets(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        if obj is None:
            named: tuple[str, ...] = ("owner", "name", "expires_at")
            limits = ("tier", *OVERRIDES) if self.may_override(request) else ()
        else:
            named = (
                "owner",
                "name",
                "expires_at",
                "status",
                "is_rehearsal",
                "created_at",
                "secrets",
                "allow_list",
            )
            limits = ("tier", *OVERRIDES)
        own = {"fields": limits, "description": "Each number replaces its tier's; empty: the tier's."}
        return [
            (None, {"fields": named}),
            *([("Limits", own)] if limits else []),
            *self.reason_fieldset(request, obj),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        if obj is None:
            return ()
        # What a key used is counted under its owner: it doesn't change hands.
        return (
            *self.readonly_fields,
            "owner",
            *(() if self.may_rename(request) else ("name", "expires_at")),
            *(() if self.may_override(request) else ("tier", *OVERRIDES)),
        )

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return self.may_rename(request) or self.may_override(request)

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """A key's history is kept with it: keys are revoked."""
        return False

    def may_rename(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_apikey")

    def may_override(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.override_apikey")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.revoke_apikey")

    @admin.display(description="secrets")
    def secrets(self, key: ApiKey) -> SafeString:
        return format_html_join("", "<div>{}</div>", ((_in_words(secret),) for secret in key.secrets.all()))

    @admin.display(description="allow-list")
    def allow_list(self, key: ApiKey) -> str:
        return "\n".join(key.allowed_networks) or "Good from anywhere."

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        form = ReasonForm(request.POST if is_confirmed(request) else None)
        if not form.is_valid():
            return action_page(
                self,
                request,
                action="revoke",
                title="Revoke API keys",
                consequence="These keys are refused from the next request on, for good: whatever uses them "
                "stops working. Nobody can take it back.",
                button="Revoke",
                rows=[(key.pk, _before_revoking(key)) for key in queryset],
                form=form,
            )
        reason = form.cleaned_data["reason"]
        for key in queryset:
            if actions.revoke(key, by=person(request), reason=reason):
                self.log_change(request, key, f"Revoked: {reason}")
                self.message_user(request, f"Revoked: {key}.", messages.SUCCESS)
            else:
                self.message_user(request, f"Revoked before: {key}.", messages.WARNING)
        return None

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        # Without the permission the form has no tier and no limits: the key gets what every new one gets.
        fields = {name: value for name, value in form.cleaned_data.items() if name != "owner"}
        key, text = api_keys.issue(obj.owner, **fields)
        signals.key_changed.send(sender=ApiKey, key=key, action=signals.CREATED, facts={})
        obj.pk = key.pk
        obj.refresh_from_db()
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


def _in_words(secret: KeySecret) -> str:
    used = f"last used {_moment(secret.last_used_at)}" if secret.last_used_at else "never used"
    words = f"{secret}, made {_moment(secret.created_at)}, {used}"
    if secret.retires_at is None:
        return words
    ends = "ended" if secret.is_rotated_out else "works until"
    return f"{words}, {ends} {_moment(secret.retires_at)}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
