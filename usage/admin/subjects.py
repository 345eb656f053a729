"""Subjects as staff know them: a key by its name, start and owner, not by `k:17`."""

from typing import Any, TypeVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from accounts.admin.read_only import ReadOnlyAdmin
from accounts.models import ApiKey, KeySecret
from usage.subjects import key_id_of, key_subject_id

Row = TypeVar("Row", bound=Model)
# More keys than that are no search, and no query to send.
MOST_KEYS = 500


def in_words(key: ApiKey | None, subject: str) -> str:
    """A key and its owner in two lines; a network, or a key that is gone, as it is counted."""
    return format_html("{}<br>{}", str(key), key.owner.email) if key else subject


class SubjectChangeList(ChangeList):
    """A list whose rows know their keys, by one query for the page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        ids = {pk for row in rows if (pk := key_id_of(row.subject)) is not None}
        keys = ApiKey.objects.select_related("owner").in_bulk(ids)
        for row in rows:
            row.its_key = keys.get(key_id_of(row.subject) or 0)
        self.result_list = rows


class SubjectAdmin(ReadOnlyAdmin[Row]):
    """Rows that name their subject; found by its text (`ip:192.0.2.7`), a key's name, its owner, or the start
    of any secret that it has or had."""

    search_fields = ["subject"]
    search_help_text = "A key's start or name, its owner's address, or ip:NETWORK."

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SubjectChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Row], search_term: str
    ) -> tuple[QuerySet[Row], bool]:
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        if not search_term.strip():
            return found, may_repeat
        keys = ApiKey.objects.all()
        for word in search_term.split():
            keys = keys.filter(
                Q(pk__in=KeySecret.objects.filter(start__startswith=word).values("key"))
                | Q(name__icontains=word)
                | Q(owner__email__icontains=word)
            )
        subjects = [key_subject_id(pk) for pk in keys.values_list("pk", flat=True)[:MOST_KEYS]]
        return found | queryset.filter(subject__in=subjects), may_repeat

    @admin.display(description="whose", ordering="subject")
    def whose(self, row: Any) -> str:
        return in_words(getattr(row, "its_key", None), row.subject)
