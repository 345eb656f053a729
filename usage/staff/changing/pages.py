"""The pages on which staff change a thing: its form and history, the preview, the undo."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from accounts.changing import Changeable, Stale, Values
from accounts.models import AuditEntry
from accounts.models.revision import Revised
from usage.models import Replay
from usage.replay import running
from usage.staff.access import StaffRequest
from usage.staff.changing.forms import ConfirmationForm, ProposalForm
from usage.staff.changing.lines import Effect, Line, Step, in_one

Head = TypeVar("Head", bound=Revised)
SHOWN = 20  # changes in a thing's history
ALREADY_SO = "That is how it is already. Change something first."


class Question(NamedTuple):
    """What a replay is asked, in the words of `usage.replay.running.start`."""

    about: str
    slug: str
    current: Values
    proposed: Values


@dataclass(frozen=True, slots=True)
class Consequences:
    """What follows from a proposal, as far as it is known.

    `affects_somebody`: it takes something from somebody. `facts` are for the thing's own part of the preview.
    """

    affects_somebody: bool
    facts: Mapping[str, Any]


class ChangePages(ABC, Generic[Head]):
    """A thing's three pages. `edit_template` and `preview_template` extend those of `staff/changing/`."""

    changes: Changeable[Head]
    form: type[ProposalForm[Head]]
    # All of these let a person change it; who may see it, the views say.
    permissions: ClassVar[tuple[str, ...]]
    edit_template: ClassVar[str]
    preview_template: ClassVar[str]

    @abstractmethod
    def url(self, head: Head, step: str = "") -> str:
        """Of its page, or of its `preview` or `undo`."""

    @abstractmethod
    def title(self, head: Head) -> str: ...

    @abstractmethod
    def word(self, head: Head) -> str:
        """What is typed to confirm a change that takes something from somebody."""

    @abstractmethod
    def label(self, name: str) -> str: ...

    @abstractmethod
    def shown(self, name: str, value: Any) -> str:
        """A value in words."""

    @abstractmethod
    def effect(self, name: str, before: Any, after: Any) -> Effect: ...

    # Said with what was saved.
    in_force: ClassVar[str] = "In force everywhere within 2 seconds."
    badges: ClassVar[Mapping[Effect, str]] = {Effect.STRICTER: "Stricter", Effect.MILDER: "Milder"}

    def lines(self, current: Values, proposed: Values) -> list[Line]:
        """What the proposal changes, for the preview: a line for each value."""
        return [
            self._line(name, current[name], proposed[name])
            for name in proposed
            if current[name] != proposed[name]
        ]

    def consequences(self, head: Head, current: Values, proposed: Values) -> Consequences:
        return Consequences(self._is_stricter(current, proposed), {})

    def facts(self, head: Head, current: Values) -> Mapping[str, Any]:
        """For the thing's own part of its page."""
        return {}

    def replayed(self, head: Head, current: Values, proposed: Values) -> Question | None:
        """What is asked of a replay of the recorded days; `None` where they have nothing to tell."""
        return None

    def names_in(self, entry: AuditEntry) -> Mapping[str, str]:
        """Of an entry in the history: the fields it has, by the value's name that each is."""
        return {name: name for name in {**entry.before, **entry.after}}

    # The three pages.

    def edit(self, request: StaffRequest, head: Head) -> HttpResponse:
        """The thing as it is, a form to propose other values, and its history. A proposal leads on to the
        preview, and from there back again with it in the address."""
        current = self.changes.values_of(head)
        if request.method == "POST":
            self._check_permission(request)
            form = self._form(request.POST, head, current)
            if form.is_valid():
                if self.lines(current, form.proposed):
                    question = self.replayed(head, current, form.proposed)
                    replay = None if question is None else running.start(*question, request.user)
                    return HttpResponseRedirect(self._address(head, "preview", form, replay))
                form.add_error(None, ALREADY_SO)
        else:
            form = self._form(request.GET if "as_read" in request.GET else None, head, current)
        history = self._history(head)
        context = {
            **self._context(request, head),
            "form": form,
            "values": [(self.label(name), self.shown(name, value)) for name, value in current.items()],
            "history": history,
            "undo": next((step for step in history if step.can_undo), None),
            **self.facts(head, current),
        }
        return render(request, self.edit_template, context)

    def preview(self, request: StaffRequest, head: Head) -> HttpResponse:
        """What the proposal in the address would do. Nothing is saved before the form on it is sent."""
        data = request.GET if request.method != "POST" else request.POST
        if request.method == "POST":
            self._check_permission(request)
        current = self.changes.values_of(head)
        form = self._form(data, head, current)
        is_valid = form.is_valid()
        if not form.is_good:
            return HttpResponseRedirect(self._address(head, "", form))
        lines = self.lines(current, form.proposed)
        if not lines:
            messages.warning(request, ALREADY_SO)
            return HttpResponseRedirect(self.url(head))
        consequences = self.consequences(head, current, form.proposed)
        word = self.word(head) if consequences.affects_somebody else None
        confirmation = ConfirmationForm(request.POST if request.method == "POST" else None, word=word)
        if request.method == "POST" and confirmation.is_valid() and is_valid:
            reason = confirmation.cleaned_data["reason"]
            revision = int(form.cleaned_data["as_read"])
            try:
                self.changes.change(head, form.proposed, by=request.user, revision=revision, reason=reason)
            except Stale:
                # Somebody was faster by a moment: the same once more beside what they saved.
                return self.preview(request, type(head)._default_manager.get(pk=head.pk))
            messages.success(request, f"Saved. {self.in_force}", extra_tags="undo")
            return HttpResponseRedirect(self.url(head))
        question = self.replayed(head, current, form.proposed)
        replay = self._replay(data.get("replay", ""), question)
        context = {
            **self._context(request, head),
            "form": form,
            "confirmation": confirmation,
            "lines": lines,
            "is_stricter": self._is_stricter(current, form.proposed),
            "affects_somebody": consequences.affects_somebody,
            "replay": replay,
            "replay_is_old": replay and question and (replay.current, replay.proposed) != question[2:],
            "back": self._address(head, "", form),
            **consequences.facts,
        }
        return render(request, self.preview_template, context)

    def undo(self, request: StaffRequest, head: Head) -> HttpResponse:
        """Give back what a change of its history replaced."""
        self._check_permission(request)
        number = request.POST.get("entry", "")
        known = number if number.isascii() and number.isdigit() and len(number) < 19 else "0"
        entry = get_object_or_404(self.changes.history(head), pk=known)
        try:
            self.changes.undo(head, entry, by=request.user)
        except Stale:
            last = self.changes.history(head).first()
            since = "" if last is None or last.pk == entry.pk else f" {self._tell(last)}"
            messages.error(
                request, f"Nothing was undone: {self.title(head)} was changed again after that.{since}"
            )
        else:
            messages.success(request, f"Undone. {self.in_force}", extra_tags="undo")
        return HttpResponseRedirect(self.url(head))

    # What they share.

    def _form(self, data: Mapping[str, Any] | None, head: Head, current: Values) -> ProposalForm[Head]:
        return self.form(
            data,
            instance=copy(head),  # validation writes what was typed into it
            changes=self.changes,
            head=head,
            current=current,
            tell=self._tell,
            shown=self.shown,
        )

    def _context(self, request: StaffRequest, head: Head) -> dict[str, Any]:
        return {
            "head": head,
            "title": self.title(head),
            "in_force": self.in_force,
            "url": self.url(head),
            "preview_url": self.url(head, "preview"),
            "undo_url": self.url(head, "undo"),
            "may_change": self._may_change(request),
            "now": timezone.now(),
        }

    def _history(self, head: Head) -> list[Step]:
        return [
            Step(
                pk=entry.pk,
                at=entry.at,
                who=entry.actor_label,
                action=entry.action,
                reason=entry.reason,
                lines=self._lines_of(entry),
                can_undo=self.changes.can_undo(head, entry),
            )
            for entry in self.changes.history(head)[:SHOWN]
        ]

    def _lines_of(self, entry: AuditEntry) -> list[Line]:
        names = self.names_in(entry)
        return [
            self._line(name, entry.before.get(field), entry.after.get(field)) for field, name in names.items()
        ]

    def _line(self, name: str, before: Any, after: Any) -> Line:
        effect = self.effect(name, before, after)
        return Line(
            name,
            self.label(name),
            self.shown(name, before),
            self.shown(name, after),
            effect,
            self.badges.get(effect, ""),
        )

    def _tell(self, entry: AuditEntry) -> str:
        why = f" (“{entry.reason}”)" if entry.reason else ""
        what = in_one(self._lines_of(entry))
        return f"{entry.actor_label}, {entry.at:%Y-%m-%d %H:%M} UTC, {entry.action} it: {what}{why}."

    def _is_stricter(self, current: Values, proposed: Values) -> bool:
        return any(
            self.effect(name, current[name], value) is Effect.STRICTER for name, value in proposed.items()
        )

    def _address(self, head: Head, step: str, form: ProposalForm[Head], replay: Replay | None = None) -> str:
        typed = {name: form[name].value() for name in form.fields}
        if replay is not None:
            typed["replay"] = replay.pk
        query = urlencode({name: "" if value is None else value for name, value in typed.items()})
        return f"{self.url(head, step)}?{query}"

    def _replay(self, number: str, question: Question | None) -> Replay | None:
        if question is None or not (number.isascii() and number.isdigit() and len(number) < 19):
            return None
        return Replay.objects.filter(pk=number, about=question.about, slug=question.slug).first()

    def _may_change(self, request: HttpRequest) -> bool:
        return all(map(request.user.has_perm, self.permissions))

    def _check_permission(self, request: HttpRequest) -> None:
        if not self._may_change(request):
            raise PermissionDenied("Your role does not change this.")
