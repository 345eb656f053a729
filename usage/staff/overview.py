"""The overview: how the panel fares, at a glance."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRefresh

from usage.charts import Span
from usage.staff.access import StaffRequest, staff_page
from usage.staff.overview_facts import SPANS, overview_facts

SUBJECTS = "accounts.view_apikey"  # whoever may read of keys may read who stands out


@require_safe
@staff_page()
def overview(request: StaffRequest) -> HttpResponse:
    """`?span=` is how far back the chart goes."""
    return render(request, "staff/overview.html", _context(request))


@require_safe
@never_cache
def overview_live(request: HttpRequest) -> HttpResponseBase:
    """The part that changes, for the page to fetch. Whoever may not see it any more gets the page anew, and
    with it what they may."""
    if not (request.user.is_authenticated and request.user.is_staff):
        return HttpResponseClientRefresh()
    return _live(request)


@staff_page()
def _live(request: StaffRequest) -> HttpResponse:
    return render(request, "staff/_overview.html", _context(request))


def _context(request: StaffRequest) -> dict[str, Any]:
    asked = request.GET.get("span", "")
    span = Span(asked) if asked in SPANS else Span.DAY
    may_see_subjects = request.user.has_perm(SUBJECTS)
    facts = overview_facts(timezone.now(), span, with_subjects=may_see_subjects)
    return {"facts": facts, "now": facts.now, "spans": SPANS, "may_see_subjects": may_see_subjects}
