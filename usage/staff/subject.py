"""One subject: who it is, its effective limits, the live counters, what happened, and what staff can do."""

from typing import Any

from django.contrib.admin.utils import quote
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.audit_log.words import changes_of
from accounts.models import ApiKey, User
from usage.charts import Span, chart_of, series_at
from usage.staff.access import StaffRequest, staff_page
from usage.subject_record import LEASES_SHOWN, Record, record_of

# Where the words for a key's owner aren't those for staff.
SENTENCES = {
    "suspended": "Its requests are refused until somebody reactivates it. The history says why.",
    "blocked": "Charged requests are refused. The history says why.",
    "expired": "Its requests are refused. With a later end it works again.",
}


@require_safe
@staff_page("accounts.view_apikey")
def subject(request: StaffRequest, subject_id: str) -> HttpResponse:
    """`?span=` says how far back the chart goes."""
    record = record_of(subject_id)
    try:
        span = Span(request.GET.get("span", Span.DAY))
    except ValueError:
        raise Http404("There is no such span.") from None
    series = series_at(subject_id, int(record.standing.now.timestamp()), live=record.standing.live)
    context = _live(record) | {
        "may": permissions_of(request.user),
        "chart": chart_of(series, span, record.subject.limits),
        "spans": list(Span),
        "entries": _told(record) if request.user.has_perm("accounts.view_auditentry") else None,
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


def _told(record: Record) -> list[dict[str, Any]]:
    """Entries of the audit log, each with what it changed."""
    return [{"entry": entry, "changes": changes_of(entry)} for entry in record.entries]


def _admin_url(record: Record) -> str | None:
    """Django's record of the key."""
    if record.key is None:
        return None
    return reverse(f"admin:{ApiKey._meta.app_label}_apikey_change", args=[quote(record.key.pk)])
