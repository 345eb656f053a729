"""One subject: who it is, its effective limits, the live counters, what happened, and what staff can do."""

from dataclasses import dataclass
from typing import Any

from django.contrib.admin.utils import quote
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.models import ApiKey, User
from usage.books.series import Point
from usage.staff.access import StaffRequest, staff_page
from usage.staff.entries import told
from usage.subject_record import LEASES_SHOWN, Record, record_of

# Where the words for a key's owner aren't those for staff.
SENTENCES = {
    "suspended": "Its requests are refused until somebody reactivates it. The history says why.",
    "blocked": "Charged requests are refused. The history says why.",
    "expired": "Its requests are refused. With a later end it works again.",
}
CHART_HEIGHT, BAR, GAP = 88, 14, 6


@dataclass(frozen=True, slots=True)
class Bar:
    """An hour in the chart: whole pixels, from the top."""

    point: Point
    x: int
    admitted_y: int
    admitted_height: int
    refused_y: int
    refused_height: int


@require_safe
@staff_page("accounts.view_apikey")
def subject(request: StaffRequest, subject_id: str) -> HttpResponse:
    record = record_of(subject_id)
    hours = record.hours
    context = _live(record) | {
        "may": permissions_of(request.user),
        "hours": hours,
        "bars": _bars(hours),
        "chart_width": len(hours) * (BAR + GAP) - GAP,
        "chart_height": CHART_HEIGHT,
        "bar_width": BAR,
        "most": max((hour.admitted + hour.refused for hour in hours), default=0),
        "admitted": sum(hour.admitted for hour in hours),
        "refused": sum(hour.refused for hour in hours),
        "entries": told(record.entries) if request.user.has_perm("accounts.view_auditentry") else None,
    }
    return render(request, "staff/subject.html", context)


@require_safe
@staff_page("accounts.view_apikey")
def subject_live(request: StaffRequest, subject_id: str) -> HttpResponse:
    """The part of the page that changes, for the page to fetch."""
    context = _live(record_of(subject_id)) | {"may": permissions_of(request.user)}
    return render(request, "staff/_subject_live.html", context)


def permissions_of(user: User) -> dict[str, bool]:
    """What the person may do here, by action."""
    return {
        "reset": user.has_perm("usage.reset_counters"),
        "suspend": user.has_perm("accounts.suspend_apikey"),
        "revoke": user.has_perm("accounts.revoke_apikey"),
        "override": user.has_perm("accounts.override_apikey"),
    }


def _live(record: Record) -> dict[str, Any]:
    status = record.status
    return {
        "record": record,
        "key": record.key,
        "standing": record.standing,
        "now": record.standing.now,
        "status": status,
        "sentence": SENTENCES.get(status.name, status.sentence),
        "most_leases": LEASES_SHOWN,
        "admin_url": _admin_url(record),
    }


def _bars(hours: list[Point]) -> list[Bar]:
    most = max((hour.admitted + hour.refused for hour in hours), default=0) or 1
    bars = []
    for number, hour in enumerate(hours):
        admitted = round(hour.admitted * CHART_HEIGHT / most)
        # Something is never drawn as nothing.
        admitted = max(admitted, 1 if hour.admitted else 0)
        refused = max(round(hour.refused * CHART_HEIGHT / most), 1 if hour.refused else 0)
        top = max(0, CHART_HEIGHT - admitted - refused)
        bars.append(Bar(hour, number * (BAR + GAP), CHART_HEIGHT - admitted, admitted, top, refused))
    return bars


def _admin_url(record: Record) -> str | None:
    """Django's record of the key."""
    if record.key is None:
        return None
    return reverse(f"admin:{ApiKey._meta.app_label}_apikey_change", args=[quote(record.key.pk)])
