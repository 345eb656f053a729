"""Reactivations: who asks for a suspended key, what led to it, and staff's answer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import Exists, F, OuterRef
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import ApiKey, AuditEntry
from accounts.reasons import reason_field
from usage.blocks.block import Block, present
from usage.blocks.reconstruction import (
    Climb,
    Reconstruction,
    reconstruct,
    refused_during,
)
from usage.blocks.wrongs import Wrong, wrongs_of
from usage.books.watermark import booked_until_in_sql
from usage.escalation import history
from usage.escalation.answering import Answer, Overtaken, answer
from usage.escalation.history import Happening
from usage.escalation.ladder import SUSPENDED, Ladder
from usage.escalation.policy import read_ladder
from usage.escalation.reactivation import NotPossible
from usage.models import EscalationEvent, EscalationState, ReactivationRequest
from usage.staff.access import StaffRequest, staff_page
from usage.subjects import key_subject_id

PERMISSION = "accounts.suspend_apikey"
REQUESTS_A_PAGE = 25
OTHERS_A_PAGE = 25
CHANGES_READ = 60
ANSWERS_SHOWN = 10
THREAD_SHOWN = 15
# Of the audit log, what belongs to the thread about suspensions.
THREAD = ("asked for reactivation", "suspended", "reactivated", "kept suspended", "revoked")


class AnswerForm(forms.Form):
    """`seen` is the request that the page showed."""

    answer = forms.ChoiceField(
        choices=[
            (Answer.PROBATION, "Reactivate on probation"),
            (Answer.CLEAN, "Reactivate clean"),
            (Answer.KEEP, "Keep suspended"),
        ],
        initial=Answer.PROBATION,
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
    )
    reason = reason_field("The customer reads it, in the email and on the key's page; so do your colleagues.")
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, has_asked: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].widget.attrs.pop("maxlength", None)
        self.fields["reason"].error_messages["required"] = "Give a reason: it is what the customer reads."
        if not has_asked:  # nobody waits for a no
            self.fields["answer"].choices = self.fields["answer"].choices[:2]  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Step:
    """A step up the ladder, with the minutes that led to it."""

    block: Block
    found: Reconstruction


@dataclass(frozen=True, slots=True)
class Case:
    """All that an answer is made by. `steps` are those since staff last reactivated, the oldest first;
    `earlier` are suspensions and reactivations before, the newest first."""

    key: ApiKey
    suspension: Block | None
    asked: ReactivationRequest | None
    steps: list[Step]
    wrongs: list[Wrong]
    earlier: list[Happening]
    answered: list[ReactivationRequest]
    thread: list[AuditEntry]
    suspensions: int


def waiting_requests() -> int:
    return ReactivationRequest.objects.waiting().count()


@require_safe
@staff_page(PERMISSION)
def reactivations(request: StaffRequest) -> HttpResponse:
    asked = ReactivationRequest.objects.waiting().select_related("key__owner", "key__tier", "suspension")
    page = Paginator(asked, REQUESTS_A_PAGE).get_page(request.GET.get("page"))
    others = _page_of_others(request.GET.get("others"))
    context = {"page": page, "others": others, "now": present()}
    return render(request, "staff/reactivations.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page(PERMISSION)
def reactivation(request: StaffRequest, key_pk: int) -> HttpResponse:
    """One key's case; a POST is the answer."""
    requests = _requests_of(key_pk)
    keys = ApiKey.objects.select_related("owner", "tier")
    key = requests[0].key if requests else get_object_or_404(keys, pk=key_pk)
    asked = _waiting_among(requests)
    status, overtaken = 200, ""
    if request.method == "POST":
        # What may be answered is what the person saw; whether that still holds is found out under a lock.
        form = AnswerForm(request.POST, has_asked=bool(request.POST.get("seen")))
        if form.is_valid():
            done = Answer(form.cleaned_data["answer"])
            try:
                answer(
                    key,
                    done,
                    seen=form.cleaned_data["seen"],
                    by=request.user,
                    reason=form.cleaned_data["reason"],
                )
            except ApiKey.DoesNotExist:
                raise Http404("The account was deleted meanwhile.") from None
            except (Overtaken, NotPossible) as why:
                overtaken, status = str(why), 409
                key.refresh_from_db(fields=["status"])
                requests = _requests_of(key_pk)
                asked = _waiting_among(requests)
                form = _fresh(form, asked)
            else:
                messages.success(request, f"{key} {_DONE[done]}. Its owner gets an email with your reason.")
                return redirect("staff_reactivations")
        else:
            status = 422
    else:
        form = _new_form(asked)
    now = present()
    ladder = read_ladder()
    context = {
        "case": _case(key, requests, ladder, now),
        "remembered": ladder.on_probation(SUSPENDED),
        "remembered_name": ladder.steps[ladder.on_probation(SUSPENDED)].name,
        "key": key,
        "form": form,
        "now": now,
        "overtaken": overtaken,
    }
    return render(request, "staff/reactivation.html", context, status=status)


_DONE = {
    Answer.PROBATION: "works again, on probation",
    Answer.CLEAN: "works again, with a clean slate",
    Answer.KEEP: "stays suspended",
}


def _requests_of(key_pk: int) -> list[ReactivationRequest]:
    """The key's, the newest first: the one that waits, if one does, and some that were answered."""
    rows = ReactivationRequest.objects.filter(key=key_pk)
    rows = rows.select_related("key__owner", "key__tier", "sent_by", "answered_by")
    return list(rows.order_by(F("answered_at").desc(nulls_first=True), "-pk")[: ANSWERS_SHOWN + 1])


def _waiting_among(requests: list[ReactivationRequest]) -> ReactivationRequest | None:
    return next((one for one in requests if one.status == ReactivationRequest.Status.WAITING), None)


def _new_form(asked: ReactivationRequest | None, **initial: str) -> AnswerForm:
    seen = None if asked is None else asked.pk
    return AnswerForm(
        initial={"seen": seen, "answer": Answer.PROBATION, **initial}, has_asked=asked is not None
    )


def _fresh(sent: AnswerForm, asked: ReactivationRequest | None) -> AnswerForm:
    """A form for what is there now, with the reason that was typed."""
    return _new_form(asked, reason=sent.cleaned_data["reason"])


def _page_of_others(number: str | None) -> Page[EscalationState]:
    """Suspended keys whose owner hasn't asked, the newest suspension first."""
    waiting = ReactivationRequest.objects.waiting().filter(key=OuterRef("key"))
    others = (
        EscalationState.objects.suspended()
        .filter(key__status=ApiKey.Status.SUSPENDED)
        .filter(~Exists(waiting))
        .select_related("key__owner", "key__tier")
        .order_by("-changed_at", "-pk")
    )
    return Paginator(others, OTHERS_A_PAGE).get_page(number)


def _case(key: ApiKey, requests: list[ReactivationRequest], ladder: Ladder, now: datetime) -> Case:
    asked = _waiting_among(requests)
    events = EscalationEvent.objects.of_subject(key_subject_id(key.pk)).order_by("-at", "-pk")
    # With the watermark of the key's books, which would else be a query of its own.
    changes: list[Any] = list(
        events.annotate(booked=booked_until_in_sql(key_subject_id(key.pk)))[:CHANGES_READ]
    )
    climb = _climb_of(changes)
    before = [None, *climb]
    ups = [Climb(event, before[n]) for n, event in enumerate(climb) if event.cause == "strikes"]
    booked = changes[0].booked if changes else 0
    found = reconstruct(ups, ladder, now, booked)
    steps = [
        Step(Block(up.event, key, up.previous, None, ladder, now), one)
        for up, one in zip(ups, found, strict=True)
    ]
    suspension, wrongs = None, []
    if climb and climb[-1].after == SUSPENDED and key.status == ApiKey.Status.SUSPENDED:
        last = climb[-1]
        suspension = Block(last, key, None, None, ladder, now)
        if steps and steps[-1].block.event == last:
            wrongs = wrongs_of(steps[-1].found, refused_during(last, now, now, booked), "suspension")
    return Case(
        key=key,
        suspension=suspension,
        asked=asked,
        steps=steps,
        wrongs=wrongs,
        earlier=[history.in_words(one, ladder) for one in changes if one not in climb and _matters(one)],
        answered=[one for one in requests if one != asked][:ANSWERS_SHOWN],
        thread=list(AuditEntry.objects.about(key).filter(action__in=THREAD)[:THREAD_SHOWN]),
        suspensions=sum(one.after == SUSPENDED for one in changes if one not in climb),
    )


def _climb_of(changes: list[EscalationEvent]) -> list[EscalationEvent]:
    """Of changes, the newest first: those since staff last reactivated, the oldest first; no decays."""
    climb: list[EscalationEvent] = []
    for one in changes:
        if one.cause == EscalationEvent.Cause.DECAY:
            continue
        if one.cause == EscalationEvent.Cause.REACTIVATED:
            break
        climb.insert(0, one)
    return climb


def _matters(change: EscalationEvent) -> bool:
    return change.after == SUSPENDED or change.cause == EscalationEvent.Cause.REACTIVATED
