"""Tiers: their limits, whom they hold, and changing one in two steps."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.changing import Values
from accounts.limit_changes import TIER
from accounts.models import AuditEntry, Tier
from accounts.tiers import LIMIT_KINDS
from usage.models import Replay
from usage.replay.numbers import REPLAYED
from usage.staff.access import StaffRequest, staff_page
from usage.staff.affected import above, held_by
from usage.staff.changing.forms import ProposalForm
from usage.staff.changing.lines import Effect, effect_of_limit
from usage.staff.changing.pages import ChangePages, Consequences, Question
from usage.staff.key_counts import key_counts

IN_SHORT = {
    "minute": "Per minute",
    "day": "Per UTC day",
    "concurrent": "At once",
    "parallel": "Parallel jobs",
    "queued": "Queued jobs",
}
UNITS = {
    "minute": "requests in a minute",
    "day": "requests today",
    "concurrent": "requests at this moment",
    "parallel": "jobs running",
    "queued": "jobs waiting",
}


class TierForm(ProposalForm[Tier]):
    class Meta:
        model = Tier
        fields = ("name", "description", *LIMIT_KINDS)


class TierPages(ChangePages[Tier]):
    changes = TIER
    form = TierForm
    permissions: ClassVar[tuple[str, ...]] = ("accounts.change_tier",)
    edit_template: ClassVar[str] = "staff/tier.html"
    preview_template: ClassVar[str] = "staff/tier_preview.html"
    badges: ClassVar[Mapping[Effect, str]] = {Effect.STRICTER: "Falls", Effect.MILDER: "Rises"}

    def url(self, head: Tier, step: str = "") -> str:
        return reverse(f"staff_tier_{step}" if step else "staff_tier", args=[head.slug])

    def title(self, head: Tier) -> str:
        return head.name

    def word(self, head: Tier) -> str:
        return head.name

    def label(self, name: str) -> str:
        return capfirst(str(Tier._meta.get_field(name).verbose_name))  # type: ignore[union-attr]

    def shown(self, name: str, value: Any) -> str:
        if name in LIMIT_KINDS:
            return "no limit" if value is None else str(intcomma(value))
        return f"“{value}”" if value else "empty"

    def effect(self, name: str, before: Any, after: Any) -> Effect:
        return effect_of_limit(before, after) if name in LIMIT_KINDS else Effect.NEITHER

    def facts(self, head: Tier, current: Values) -> Mapping[str, Any]:
        counts = key_counts()
        return {
            "is_for_guests": head.slug == Tier.ANONYMOUS,
            "keys": counts.of(head.pk),
            "counted_at": counts.at,
        }

    def consequences(self, head: Tier, current: Values, proposed: Values) -> Consequences:
        changed = [kind for kind in LIMIT_KINDS if proposed[kind] != current[kind]]
        lowered = {
            kind: proposed[kind]
            for kind in changed
            if effect_of_limit(current[kind], proposed[kind]) is Effect.STRICTER
        }
        is_for_guests = head.slug == Tier.ANONYMOUS
        held = held_by(head) if changed else {}
        found = above(head, lowered, timezone.now())
        kinds = [
            {
                "label": self.label(kind),
                "held": held[kind],
                "is_lowered": kind in lowered,
                "is_asked": kind in found,
                "above": found.get(kind, []),
                "unit": UNITS[kind],
                "number": proposed[kind],
            }
            for kind in changed
        ]
        return Consequences(
            affects_somebody=any(is_for_guests or held[kind].keys for kind in lowered),
            facts={"kinds": kinds, "is_for_guests": is_for_guests},
        )

    def replayed(self, head: Tier, current: Values, proposed: Values) -> Question | None:
        if all(current[kind] == proposed[kind] for kind in REPLAYED):
            return None
        limits = ({kind: values[kind] for kind in LIMIT_KINDS} for values in (current, proposed))
        return Question(Replay.Subject.TIER, head.slug, *limits)


PAGES = TierPages()


@require_safe
@staff_page("accounts.view_tier")
def tiers(request: StaffRequest) -> HttpResponse:
    rows = list(Tier.objects.all())
    counts = key_counts()
    last = AuditEntry.objects.newest_about(rows)
    context = {
        "tiers": [
            {
                "tier": tier,
                "is_for_guests": tier.slug == Tier.ANONYMOUS,
                "limits": [(IN_SHORT[kind], PAGES.shown(kind, getattr(tier, kind))) for kind in LIMIT_KINDS],
                "keys": counts.of(tier.pk),
                "last": last.get(str(tier.pk)),
            }
            for tier in rows
        ],
        "counted_at": counts.at,
        "may_add": request.user.has_perm("accounts.add_tier"),
        "now": timezone.now(),
    }
    return render(request, "staff/tiers.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("accounts.view_tier")
def tier(request: StaffRequest, slug: str) -> HttpResponse:
    return PAGES.edit(request, get_object_or_404(Tier, slug=slug))


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("accounts.view_tier")
def tier_preview(request: StaffRequest, slug: str) -> HttpResponse:
    return PAGES.preview(request, get_object_or_404(Tier, slug=slug))


@require_POST
@staff_page("accounts.view_tier")
def undo_tier(request: StaffRequest, slug: str) -> HttpResponse:
    return PAGES.undo(request, get_object_or_404(Tier, slug=slug))
