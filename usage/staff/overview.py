"""The overview: how the panel fares, at a glance."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from usage.staff.access import StaffRequest, staff_page


@require_safe
@staff_page()
def overview(request: StaffRequest) -> HttpResponse:
    return render(request, "staff/overview.html")
