"""The audit log: who did what to which thing, what it was before and after, and why."""

from typing import NamedTuple

from django.http import HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts.audit_log.export import csv_of
from accounts.audit_log.filtering import Thing
from accounts.audit_log.paging import Page, Place, page_of
from accounts.audit_log.words import Change, changes_of, kind_of
from accounts.models import AuditEntry
from usage.staff.access import StaffRequest, staff_page
from usage.staff.audit_form import AuditForm
from usage.staff.audit_places import places_of
from usage.subject_search import without_secrets

READERS = "accounts.view_auditentry"


class Line(NamedTuple):
    """An entry as the page tells it. `place` is the page of what it is about, if that has one."""

    entry: AuditEntry
    kind: str
    thing: Thing
    place: str | None
    changes: list[Change]


@sensitive_post_parameters("q")
@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(READERS)
def audit(request: StaffRequest) -> HttpResponse:
    """`?before=` is where a page begins; the rest is the filter's. It is posted, and answered with an address
    without secrets, as the search of subjects is."""
    asked = request.POST if request.method == "POST" else request.GET
    searched = without_secrets(asked.get("q", ""))
    if request.method == "POST" or searched != " ".join(asked.get("q", "").split()):
        query = _query(asked, csrfmiddlewaretoken=None, q=searched or None)
        return redirect(f"{reverse('audit')}{'?' if query else ''}{query}")
    form = AuditForm(request.GET)
    page = Page([], None)
    if form.is_valid():
        page = page_of(*form.asked().split(), Place.read(request.GET.get("before", "")))
    places = places_of(page.entries, request.user)
    lines = [_line(entry, places) for entry in page.entries]
    context = {
        "form": form,
        "lines": lines,
        "page": page,
        "is_first": not request.GET.get("before"),
        "about": _about(form, lines),
        "query": _query(request.GET),
        "older": _query(request.GET, before=page.older),
        "without_about": _query(request.GET, about=None),
        "now": timezone.now(),
    }
    return render(request, "staff/audit.html", context)


@require_safe
@staff_page(READERS)
def audit_csv(request: StaffRequest) -> HttpResponseBase:
    """All that the filter finds, not only a page of it."""
    form = AuditForm(request.GET)
    if not form.is_valid():
        return redirect(f"{reverse('audit')}?{request.GET.urlencode()}")
    return csv_of(form.asked().all_of_it())


def _line(entry: AuditEntry, places: dict[Thing, str]) -> Line:
    thing = Thing(entry.target_type, entry.target_id)
    return Line(entry, kind_of(entry.target_type), thing, places.get(thing), changes_of(entry))


def _about(form: AuditForm, lines: list[Line]) -> str:
    """What the page is about alone, in words; empty if it is about whatever there was."""
    asked = form.data.get("about", "")
    if not asked:
        return ""
    return f"{lines[0].kind} {lines[0].entry.target_label}" if lines else asked


def _query(given: QueryDict, **changed: object) -> str:
    """The address's query without where a page begins, and with what is changed of it; `None`: without."""
    query = given.copy()
    for name, value in {"before": None, **changed}.items():
        query.pop(name, None)
        if value is not None:
            query[name] = str(value)
    for name in [name for name, value in query.items() if not value]:
        del query[name]
    return query.urlencode()
