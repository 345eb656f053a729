"""How people sign in, in Django's admin: their addresses and second factors. Superusers alone see it."""

from typing import Any

import allauth.account.admin
import allauth.mfa.admin
import allauth.usersessions.admin  # noqa: F401  (registers what we put ours in the place of)
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.http import HttpRequest

from accounts.admin.audited import AuditedAdmin
from accounts.admin.superusers_alone import ForSuperusersAlone

admin.site.unregister([EmailAddress, Authenticator])
# Its key is what the browser's cookie holds: whoever reads it is signed in as its owner.
admin.site.unregister(UserSession)


@admin.register(EmailAddress)
class EmailAddressAdmin(ForSuperusersAlone[EmailAddress], AuditedAdmin[EmailAddress]):
    list_display = ("email", "user", "primary", "verified")
    list_filter = ("primary", "verified")
    list_select_related = ("user",)
    search_fields = ("email", "user__email")
    autocomplete_fields = ("user",)
    fieldsets = ((None, {"fields": ("user", "email", "primary", "verified")}),)


@admin.register(Authenticator)
class AuthenticatorAdmin(ForSuperusersAlone[Authenticator], AuditedAdmin[Authenticator]):
    """Deleted for whoever lost theirs; never shown, because what is in one is as good as having it."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    search_fields = ("user__email",)
    search_help_text = "The account's address."
    fieldsets = ((None, {"fields": ("user", "type", "created_at", "last_used_at")}),)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
