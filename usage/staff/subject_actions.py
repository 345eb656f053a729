"""What staff do to a subject: a page that says what will happen and asks why, and a POST that does it."""

from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from accounts.keys import actions
from accounts.keys.limits_form import LimitsForm
from accounts.models import ApiKey, Tier
from usage.counter_resets import DAY, MINUTE, STRIKES, release_leases, reset_counters
from usage.escalation import reactivation
from usage.escalation.ladder import SUSPENDED
from usage.limits.resetting import ALL_LEASES
from usage.staff.access import StaffRequest, staff_page
from usage.staff.subject_forms import (
    CLEAN,
    LEASE,
    ReactivateForm,
    ReleaseForm,
    ResetForm,
    RevokeForm,
    SuspendForm,
)
from usage.subject_record import Record, record_of
from usage.subjects import key_id_of

asked_and_done = require_http_methods(["GET", "HEAD", "POST"])
NotPossible = (reactivation.NotPossible, actions.NotPossible)
STALE = "This key was changed after you opened the page, so nothing was done. Look again."


@asked_and_done
@staff_page("usage.reset_counters")
def reset(request: StaffRequest, subject_id: str) -> HttpResponse:
    record = record_of(subject_id)
    form = ResetForm(_sent(request), words=_counted(record))
    if form.is_valid():
        counters = tuple(form.cleaned_data["counters"])
        try:
            reset_counters(
                subject_id,
                by=request.user,
                reason=form.cleaned_data["reason"],
                order=form.id,
                counters=counters,
            )
        except NotPossible as why_not:
            form.add_error(None, str(why_not))
        else:
            names = {MINUTE: "the minute", DAY: "the day", STRIKES: "strikes"}
            what = ", ".join(names[counter] for counter in counters)
            messages.success(request, f"Reset: {what}. The next request counts from nothing.")
            return redirect("subject", subject_id)
    consequences = [
        "The next request is decided by counters that stand at nothing. What was served stays in the books: "
        "charts, sums and the day's usage tell of it as before.",
        "Mail at 80 % and 100 % of the day counts from here, too.",
    ]
    if record.is_blocked or record.is_suspended:
        consequences.append(
            "It stays refused all the same: a block or a suspension is no counter. Lift that first."
        )
    return _page(request, record, "Reset counters", form, consequences, button="Reset", icon="rotate-2")


@asked_and_done
@staff_page("usage.reset_counters")
def release(request: StaffRequest, subject_id: str) -> HttpResponse:
    record = record_of(subject_id)
    lease = request.GET.get("lease", ALL_LEASES)
    if not LEASE.fullmatch(lease):
        raise Http404("There is no such lease.")
    form = ReleaseForm(_sent(request), initial={"lease": lease})
    if form.is_valid():
        try:
            number = release_leases(
                subject_id,
                by=request.user,
                reason=form.cleaned_data["reason"],
                order=form.id,
                lease=form.cleaned_data["lease"],
            )
        except NotPossible as why_not:
            form.add_error(None, str(why_not))
        else:
            words = f"{number:,} lease{'' if number == 1 else 's'}" if number else "What you asked for"
            messages.success(request, f"Released: {words}.")
            return redirect("subject", subject_id)
    in_flight = None if record.counters is None else record.counters.in_flight
    is_one = form["lease"].value() != ALL_LEASES
    consequences = [
        "The place is free at once for another request."
        if is_one
        else f"All places are free at once{'' if in_flight is None else f', {in_flight:,} just now'}.",
        "A request that still runs goes on, and stays charged. It isn't counted among those in flight any "
        "more, so that more of them may run at once than the limit says.",
        "A lease ends by itself two minutes after its request began.",
    ]
    title = "Release a lease" if is_one else "Release all leases"
    return _page(request, record, title, form, consequences, button="Release", icon="circle-x")


@asked_and_done
@staff_page("accounts.suspend_apikey")
def suspend(request: StaffRequest, subject_id: str) -> HttpResponse:
    record = _of_key(subject_id)
    form = SuspendForm(_sent(request))
    if form.is_valid() and record.key is not None:
        try:
            reactivation.suspend(record.key, by=request.user, reason=form.cleaned_data["reason"])
        except NotPossible as why_not:
            form.add_error(None, str(why_not))
        else:
            messages.success(request, f"Suspended: {record.key}. Its owner is told by email.")
            return redirect("subject", subject_id)
    consequences = [
        "From the next request on it is answered 403 key_suspended, until somebody reactivates it. What is "
        "ready can still be downloaded.",
        "Its owner gets an email with your reason, and can ask for reactivation.",
    ]
    return _page(
        request, record, "Suspend this key", form, consequences, button="Suspend", icon="lock", danger=True
    )


@asked_and_done
@staff_page("accounts.suspend_apikey")
def reactivate(request: StaffRequest, subject_id: str) -> HttpResponse:
    """Of a key, its suspension or block is lifted; of an address, its block."""
    record = record_of(subject_id)
    ladder = record.standing.footing.ladder
    remembered = ladder.on_probation(record.standing.footing.escalation if record.network else SUSPENDED)
    remembers = f"tier {remembered} ({ladder.steps[remembered].name}) at most" if remembered else "nothing"
    form = ReactivateForm(
        _sent(request),
        probation=f"On probation: the ladder remembers {remembers}",
        clean="Clean: nothing of what happened is held against it",
        told=record.key is not None,
    )
    if form.is_valid():
        reason, clean = form.cleaned_data["reason"], form.cleaned_data["how"] == CLEAN
        try:
            if record.key is None:
                tier = reactivation.lift(record.network, by=request.user, reason=reason, clean=clean)
            else:
                tier = reactivation.reactivate(record.key, by=request.user, reason=reason, clean=clean)
        except NotPossible as why_not:
            form.add_error(None, str(why_not))
        else:
            what = "Reactivated" if record.key else "Lifted"
            messages.success(request, f"{what}: it stands on tier {tier}, {ladder.steps[tier].name}.")
            return redirect("subject", subject_id)
    consequences = [
        f"It is served again from the next request on; a process that knows it as blocked asks again within "
        f"5 s. For {ladder.grace_seconds} s nothing strikes."
    ]
    if record.key is not None:
        consequences.append("Its owner gets an email with your reason.")
    title = "Reactivate this key" if record.key else "Lift the block"
    button = "Reactivate" if record.key else "Lift it"
    return _page(request, record, title, form, consequences, button=button, icon="lock-open")


@asked_and_done
@staff_page("accounts.revoke_apikey")
def revoke(request: StaffRequest, subject_id: str) -> HttpResponse:
    record = _of_key(subject_id)
    key = record.key
    assert key is not None  # noqa: S101
    form = RevokeForm(_sent(request), initial={"revision": key.revision})
    if form.is_valid():
        asked = form.cleaned_data
        try:
            is_new = actions.revoke(key, by=request.user, revision=asked["revision"], reason=asked["reason"])
        except actions.Stale:
            messages.error(request, STALE)
            return redirect(request.path)
        words = f"Revoked: {key}." if is_new else f"It was revoked before: {key}."
        messages.success(request, words)
        return redirect("subject", subject_id)
    consequences = [
        "Whatever still uses it stops working at its next request, for good. It is answered 401 key_revoked.",
        "Nobody can take that back: to stop it for a time, suspend it.",
    ]
    return _page(
        request, record, "Revoke this key", form, consequences, button="Revoke", icon="ban", danger=True
    )


@asked_and_done
@staff_page("accounts.override_apikey")
def change_limits(request: StaffRequest, subject_id: str) -> HttpResponse:
    """The key's tier, and limits of its own; who looked at an older state of it is told, and asked again."""
    record = _of_key(subject_id)
    form = LimitsForm(instance=record.key)
    if request.method == "POST":
        with transaction.atomic():
            locked = ApiKey.objects.select_for_update(no_key=True, of=("self",))
            key = get_object_or_404(locked.select_related("tier"), pk=key_id_of(subject_id))
            form = LimitsForm(request.POST, instance=key)
            if form.is_valid():
                try:
                    is_new = actions.change_limits(
                        key,
                        by=request.user,
                        revision=None,
                        tier=form.cleaned_data["tier"],
                        overrides=form.overrides,
                        reason=form.cleaned_data["reason"],
                    )
                except actions.NotPossible as why_not:
                    form.add_error(None, str(why_not))
                else:
                    words = (
                        "Its limits are changed, with its next request." if is_new else "Nothing was changed."
                    )
                    messages.success(request, words)
                    return redirect("subject", subject_id)
    context = _context(record) | {
        "form": form,
        "tiers": Tier.objects.exclude(slug=Tier.ANONYMOUS),
    }
    return render(request, "staff/subject_limits.html", context)


def _sent(request: StaffRequest) -> Any:
    return request.POST if request.method == "POST" else None


def _of_key(subject_id: str) -> Record:
    """Raises `Http404` for an address, to which this is not done."""
    if key_id_of(subject_id) is None:
        raise Http404("An address changes hands: this is not done to one.")
    return record_of(subject_id)


def _counted(record: Record) -> dict[str, str]:
    """The counters in words, with what each stands at."""
    limits = {limit.quota.kind: limit.quota for limit in record.limits}
    strikes = record.standing.footing.strikes

    def used(kind: Any) -> str:
        count = limits[kind].used
        return "unknown" if count is None else f"{count:,} used"

    struck = "unknown" if strikes is None else f"{strikes} strike{'' if strikes == 1 else 's'}"
    refusals = "" if record.counters is None else f", {record.counters.refusals:,} refused in this minute"
    return {
        MINUTE: f"Requests of this minute ({used(MINUTE)})",
        DAY: f"Requests of this UTC day ({used(DAY)})",
        STRIKES: f"Strikes and the warning ({struck}{refusals})",
    }


def _context(record: Record) -> dict[str, Any]:
    return {
        "record": record,
        "key": record.key,
        "standing": record.standing,
        "now": record.standing.now,
        "status": record.status,
    }


def _page(
    request: StaffRequest,
    record: Record,
    title: str,
    form: forms.Form,
    consequences: list[str],
    *,
    button: str,
    icon: str,
    danger: bool = False,
) -> HttpResponse:
    context = _context(record) | {
        "title": title,
        "form": form,
        "consequences": consequences,
        "button": button,
        "button_icon": icon,
        "danger": danger,
    }
    return render(request, "staff/subject_action.html", context)
