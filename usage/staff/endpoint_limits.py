"""Endpoint limits: how often an address may ask for what is counted apart, and changing that in two steps."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.changing import Values
from accounts.limit_changes import ENDPOINT_LIMIT
from accounts.models import AuditEntry, EndpointLimit
from usage.endpoint_limits.hits import per
from usage.endpoint_limits.refused import refused_by
from usage.escalation.words import span
from usage.models import HitTotal
from usage.staff.access import StaffRequest, staff_page
from usage.staff.changing.forms import ProposalForm
from usage.staff.changing.lines import Effect, effect_of_limit
from usage.staff.changing.pages import ChangePages, Consequences

PERIODS = {"24 hours": timedelta(days=1), "7 days": timedelta(days=7)}


class EndpointLimitForm(ProposalForm[EndpointLimit]):
    class Meta:
        model = EndpointLimit
        fields = ("requests", "seconds")


class EndpointLimitPages(ChangePages[EndpointLimit]):
    changes = ENDPOINT_LIMIT
    form = EndpointLimitForm
    permissions: ClassVar[tuple[str, ...]] = ("accounts.change_endpointlimit",)
    edit_template: ClassVar[str] = "staff/endpoint_limit.html"
    preview_template: ClassVar[str] = "staff/endpoint_limit_preview.html"

    def url(self, head: EndpointLimit, step: str = "") -> str:
        return reverse(f"staff_endpoint_limit_{step}" if step else "staff_endpoint_limit", args=[head.name])

    def title(self, head: EndpointLimit) -> str:
        return head.name

    def word(self, head: EndpointLimit) -> str:
        return head.name

    def label(self, name: str) -> str:
        return capfirst(str(EndpointLimit._meta.get_field(name).verbose_name))  # type: ignore[union-attr]

    def shown(self, name: str, value: Any) -> str:
        if name == "seconds":
            return span(value)
        return "no limit" if value is None else str(intcomma(value))

    def effect(self, name: str, before: Any, after: Any) -> Effect:
        if name == "requests":
            return effect_of_limit(before, after)
        return effect_of_limit(after, before)  # the longer, the stricter

    def facts(self, head: EndpointLimit, current: Values) -> Mapping[str, Any]:
        return {"often": often(head.requests, head.seconds), "refused": _refused(head)}

    def consequences(self, head: EndpointLimit, current: Values, proposed: Values) -> Consequences:
        facts = {
            "often_now": often(current["requests"], current["seconds"]),
            "often_then": often(proposed["requests"], proposed["seconds"]),
            "refused": _refused(head),
        }
        return Consequences(_admits_less(current, proposed), facts)


PAGES = EndpointLimitPages()


def often(requests: int | None, seconds: int) -> str:
    """`10 requests per minute`, `no limit`."""
    if requests is None:
        return "no limit"
    return f"{intcomma(requests)} request{'' if requests == 1 else 's'} {per(seconds)}"


def _admits_less(current: Values, proposed: Values) -> bool:
    """Fewer at once, or fewer in the long run."""
    if proposed["requests"] is None or current["requests"] is None:
        return proposed["requests"] is not None
    (now, in_now), (then, in_then) = (
        (int(values["requests"]), int(values["seconds"])) for values in (current, proposed)
    )
    return then < now or then * in_now < now * in_then


def _refused(limit: EndpointLimit) -> list[dict[str, Any]]:
    now = timezone.now()
    return [{"period": name, "by": refused_by(limit.name, now - length)} for name, length in PERIODS.items()]


@require_safe
@staff_page("accounts.view_endpointlimit")
def endpoint_limits(request: StaffRequest) -> HttpResponse:
    rows = list(EndpointLimit.objects.all())
    now = timezone.now()
    last = AuditEntry.objects.newest_about(rows)
    refused = HitTotal.objects.since(now - timedelta(days=1)).by_kind()
    context = {
        "limits": [
            {
                "limit": row,
                "often": often(row.requests, row.seconds),
                "refused": refused.get(row.name, 0),
                "last": last.get(str(row.pk)),
            }
            for row in rows
        ],
        "now": now,
    }
    return render(request, "staff/endpoint_limits.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("accounts.view_endpointlimit")
def endpoint_limit(request: StaffRequest, name: str) -> HttpResponse:
    return PAGES.edit(request, get_object_or_404(EndpointLimit, name=name))


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("accounts.view_endpointlimit")
def endpoint_limit_preview(request: StaffRequest, name: str) -> HttpResponse:
    return PAGES.preview(request, get_object_or_404(EndpointLimit, name=name))


@require_POST
@staff_page("accounts.view_endpointlimit")
def undo_endpoint_limit(request: StaffRequest, name: str) -> HttpResponse:
    return PAGES.undo(request, get_object_or_404(EndpointLimit, name=name))
