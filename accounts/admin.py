"""Django's admin for accounts, tiers and keys."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts import api_keys
from accounts.action_page import action_page, is_confirmed
from accounts.models import ApiKey, Tier, User
from accounts.tiers import LIMIT_KINDS


class UserCreationForm(AdminUserCreationForm):  # type: ignore[type-arg]  # not generic at run time
    class Meta:
        model = User
        fields = ("email", "name")


@admin.register(User)
class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg]
    add_form = UserCreationForm
    list_display = ("email", "name", "is_active", "is_staff", "date_joined")
    list_filter = ("is_active", "is_staff", "groups")
    search_fields = ("email", "name")
    ordering = ("email",)
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("Emails", {"fields": ("wants_quota_emails",)}),
        ("Permissions", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),)


@admin.register(Tier)
class TierAdmin(admin.ModelAdmin[Tier]):
    list_display = ("name", "slug", *LIMIT_KINDS)
    fieldsets = (
        (None, {"fields": ("name", "slug", "description")}),
        (
            "Limits",
            {
                "fields": LIMIT_KINDS,
                "description": "In force at the next request. An empty limit means no limit.",
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Tier | None = None) -> tuple[str, ...]:
        """A tier's slug is how code, commands and the limit store know it."""
        return ("slug",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Tier | None = None) -> bool:
        """The seeded tiers are what guests and new keys get."""
        seeded = obj is not None and obj.slug in {Tier.ANONYMOUS, Tier.FREE}
        return not seeded and super().has_delete_permission(request, obj)


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
