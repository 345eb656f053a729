"""A replay: how far it is, and then what a proposed change would have done."""

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRefresh

from usage.models import Replay
from usage.replay import words
from usage.staff.access import StaffRequest, staff_page

SEEN_BY = ("accounts.change_tier", "usage.change_escalationpolicy", "accounts.view_tier")


@require_safe
def replay(request: StaffRequest, pk: int) -> HttpResponseBase:
    """The page, or for itself as long as it runs, and for those that show a replay, only its content.

    Whoever signed out meanwhile gets the whole page anew, not a sign-in form in the middle of it.
    """
    if _is_a_part(request) and not request.user.is_authenticated:
        return HttpResponseClientRefresh()
    return _replay(request, pk)


@staff_page(*SEEN_BY)
def _replay(request: StaffRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(Replay.objects.select_related("asked_by"), pk=pk)
    template = "staff/_replay_content.html" if _is_a_part(request) else "staff/replay.html"
    response = render(
        request, template, {"replay": found, "differences": words.differences(found), "now": timezone.now()}
    )
    patch_vary_headers(response, ["HX-Request"])
    return response


def _is_a_part(request: StaffRequest) -> bool:
    return bool(getattr(request, "htmx", False))
