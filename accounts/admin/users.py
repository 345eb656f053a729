"""Accounts in Django's admin: staff read them, superusers edit them."""

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from accounts import audit
from accounts.account.deletion import LastSuperuser, delete_account, is_last_superuser
from accounts.admin.audited import AuditedAdmin, person
from accounts.admin.superusers_alone import ForSuperusersAlone
from accounts.audited_form import AuditedForm
from accounts.models import User
from accounts.reasons import reason_field


class UserCreationForm(AdminUserCreationForm):  # type: ignore[type-arg]  # not generic at run time
    class Meta:
        model = User
        fields = ("email", "name")


class UserForm(AuditedForm[User], UserChangeForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = "__all__"


class PasswordForm(AdminPasswordChangeForm):  # type: ignore[type-arg]
    reason: forms.Field = reason_field()


@admin.register(User)
class UserAdmin(ForSuperusersAlone[User], AuditedAdmin[User], DjangoUserAdmin):  # type: ignore[type-arg]
    form = UserForm
    add_form = UserCreationForm
    change_password_form = PasswordForm
    change_user_password_template = "admin/accounts/user/change_password.html"  # noqa: S105  (a page's name)
    list_display = ("email", "name", "is_active", "is_staff", "date_joined")
    list_filter = ("is_active", "is_staff", "groups")
    search_fields = ("email", "name")
    ordering = ("email",)
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("email", "name")}),
        ("Emails", {"fields": ("wants_quota_emails",)}),
        ("Permissions", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """How a password is hashed is for nobody to see who can't change it."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or not self.has_change_permission(request, obj):
            return fieldsets
        return [(None, {"fields": ("email", "name", "password")}), *fieldsets[1:]]

    @transaction.atomic
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Writes that it was changed, and nothing of it."""
        account = self.get_object(request, id)
        response: HttpResponse = super().user_change_password(request, id, form_url)
        if account is not None and User.objects.get(pk=account.pk).password != account.password:
            reason = request.POST["reason"].strip()
            audit.record("changed password", account, by=person(request), reason=reason)
        return response

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Somebody has to be left who may do everything."""
        last = obj is not None and is_last_superuser(obj)
        return not last and super().has_delete_permission(request, obj)

    def get_deleted_objects(self, objs: Sequence[User] | QuerySet[User], request: HttpRequest) -> Any:
        """What nobody may delete alone, such as a key, goes with its account."""
        listed, counts, _, protected = super().get_deleted_objects(objs, request)
        return listed, counts, set(), protected

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """As by the account's owner: nothing personal stays, jobs are handed to the cleaning."""
        self._delete([obj], request)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._delete(queryset, request)

    @transaction.atomic
    def _delete(self, accounts: Iterable[User], request: HttpRequest) -> None:
        # One's own at the end: nobody could be named for what comes after.
        by = person(request)
        try:
            for account in sorted(accounts, key=lambda one: one.pk == by.pk):
                delete_account(account, by=by)
        except LastSuperuser:
            raise PermissionDenied("Nobody would be left who may do everything.") from None
