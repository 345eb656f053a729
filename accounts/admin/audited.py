"""Pages of Django's admin whose every change is in the audit log: who, what before and after, and why."""

from typing import Any, ClassVar, TypeVar, cast

from django.contrib import admin
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from accounts import audit
from accounts.audited_form import AuditedForm
from accounts.models import User
from accounts.snapshots import difference, snapshot_of, what_is_said

Row = TypeVar("Row", bound=Model)
# Both fields are `AuditedForm`'s; the second is hidden.
WHY: tuple[str, dict[str, Any]] = ("Why", {"fields": ("reason", "as_read")})


def person(request: HttpRequest) -> User:
    """Whom the audit log names: nobody gets to the admin without signing in."""
    return cast(User, request.user)


class AuditedAdmin(admin.ModelAdmin[Row]):
    """Adding, changing and deleting write one entry each, in the transaction that does it.

    A form of an admin's own extends `AuditedForm`. A change that changes
    nothing saves and writes nothing.
    """

    form: Any = AuditedForm
    added: ClassVar[str] = "added"  # as the audit log calls it

    def get_fieldsets(self, request: HttpRequest, obj: Row | None = None) -> Any:
        return [*super().get_fieldsets(request, obj), *self.reason_fieldset(request, obj)]

    def get_fields(self, request: HttpRequest, obj: Row | None = None) -> Any:
        """The model's; where the other two go is ours to say."""
        aside = WHY[1]["fields"]
        return [name for name in super().get_fields(request, obj) if name not in aside]

    def reason_fieldset(self, request: HttpRequest, obj: Row | None) -> list[tuple[str, dict[str, Any]]]:
        """The last fieldset of a form that changes something: the reason, and beside it what is hidden."""
        return [] if obj is None or not self.has_change_permission(request, obj) else [WHY]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Row | None:
        """Locked where it is going to be changed: what is compared is then what is saved over."""
        found = super().get_object(request, object_id, from_field)
        if found is None or request.method != "POST" or not transaction.get_connection().in_atomic_block:
            return found
        list(self.model._base_manager.select_for_update(no_key=True).filter(pk=found.pk).values("pk"))
        return super().get_object(request, object_id, from_field)

    def save_model(self, request: HttpRequest, obj: Row, form: Any, change: bool) -> None:
        form.before = snapshot_of(self.model._base_manager.get(pk=obj.pk)) if change else {}
        if form.changed_data or not change:
            super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if not change:
            facts = what_is_said(snapshot_of(form.instance))
            audit.record(self.added, form.instance, by=person(request), after=facts)
        elif form.changed_data:
            before, after = difference(form.before, snapshot_of(form.instance))
            if before != after:
                audit.record(
                    "changed",
                    form.instance,
                    by=person(request),
                    before=before,
                    after=after,
                    reason=form.cleaned_data["reason"],
                )

    def log_change(self, request: HttpRequest, obj: Row, message: Any) -> Any:
        """Django's own history, which stays beside ours, is told nothing of nothing either."""
        return super().log_change(request, obj, message) if message else None

    def facts_of_deleted(self, obj: Row) -> dict[str, Any]:
        """What the entry of a deletion keeps of the row."""
        return what_is_said(snapshot_of(obj))

    def delete_model(self, request: HttpRequest, obj: Row) -> None:
        with transaction.atomic():
            self._record_deletion(request, obj)
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Row]) -> None:
        with transaction.atomic():
            for obj in queryset:
                self._record_deletion(request, obj)
            super().delete_queryset(request, queryset)

    def _record_deletion(self, request: HttpRequest, obj: Row) -> None:
        audit.record("deleted", obj, by=person(request), before=self.facts_of_deleted(obj))
