"""The ladder: its rules and steps, who stands on it, and changing it in two steps."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib.humanize.templatetags.humanize import intcomma
from django.forms import BoundField
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.views.decorators.http import require_http_methods, require_POST

from accounts.changing import Values
from accounts.models import AuditEntry
from usage.escalation.ladder import SUSPENDED
from usage.escalation.ladder_changes import LADDER, POLICY_FIELDS, fields_of, name_of
from usage.escalation.words import span
from usage.models import EscalationPolicy, EscalationState, EscalationStep, Replay
from usage.models.escalation_state import NOBODY
from usage.staff.access import StaffRequest, staff_page
from usage.staff.changing.forms import ProposalForm
from usage.staff.changing.lines import Effect, Line
from usage.staff.changing.pages import ChangePages, Consequences, Question

# Which way a number is stricter: up (True) or down.
STRICTER_UP = {
    **{"strike_refusals": False, "strike_percent": False, "forgive_minutes": True, "warned_minutes": True},
    **{"decay_hours": True, "grace_seconds": False, "probation": True, "guests_highest": True},
    **{"strikes": False, "block_seconds": True},
}
STEP_LABELS = {"name": "name", "strikes": "strikes", "block_seconds": "block"}
UNITS = {
    "forgive_minutes": 60,
    "warned_minutes": 60,
    "decay_hours": 3600,
    "grace_seconds": 1,
    "block_seconds": 1,
}
STEPS = range(1, SUSPENDED + 1)


class LadderForm(ProposalForm[EscalationPolicy]):
    """The policy's numbers, and of each step those that it has."""

    class Meta:
        model = EscalationPolicy
        fields = POLICY_FIELDS
        labels: ClassVar[dict[str, str]] = {
            "strike_refusals": "Refusals in a minute",
            "strike_percent": "In % of the minute's limit",
            "probation": "Remembered on probation",
            "guests_highest": "Highest of an address",
        }
        help_texts: ClassVar[dict[str, str]] = dict.fromkeys(POLICY_FIELDS, "")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        now = self.current
        for number in STEPS:
            for field in fields_of(number):
                name = name_of(number, field)
                self.fields[name] = _field_of_step(field)
                self.initial[name] = now[name]
        for tier in ("probation", "guests_highest"):
            names = {n: f"{n} {now[name_of(n, 'name')]}" for n in STEPS}
            self.fields[tier] = _one_of(
                EscalationPolicy._meta.get_field(tier), names, self.fields[tier].label
            )

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Each step with its fields, for the page."""
        return [{"number": number, **self._step(number)} for number in STEPS]

    def _step(self, number: int) -> dict[str, BoundField]:
        return {field: self[name_of(number, field)] for field in fields_of(number)}


def _field_of_step(field: str) -> forms.Field:
    labels = {"name": "Name", "strikes": "Strikes that lead to it", "block_seconds": "Block in seconds"}
    of_model: Any = EscalationStep._meta.get_field(field)
    made: forms.Field = of_model.formfield(required=True, label=labels[field], help_text="")
    made.validators += of_model.validators  # a model's form would have the model look at them
    return made


def _one_of(field: Any, names: Mapping[int, str], label: Any) -> forms.TypedChoiceField:
    """A tier, chosen by its name from those that the model allows."""
    low, high = (next(v.limit_value for v in field.validators if v.code == code) for code in BOUNDS)
    choices = [(number, name) for number, name in names.items() if low <= number <= high]
    return forms.TypedChoiceField(choices=choices, coerce=int, label=label)


BOUNDS = ("min_value", "max_value")


class LadderPages(ChangePages[EscalationPolicy]):
    changes = LADDER
    form = LadderForm
    permissions: ClassVar[tuple[str, ...]] = ("usage.change_escalationpolicy", "usage.change_escalationstep")
    edit_template: ClassVar[str] = "staff/ladder.html"
    preview_template: ClassVar[str] = "staff/ladder_preview.html"
    in_force: ClassVar[str] = "In force everywhere within 2 seconds. A running block keeps its end."

    def url(self, head: EscalationPolicy, step: str = "") -> str:
        return reverse(f"staff_ladder_{step}" if step else "staff_ladder")

    def title(self, head: EscalationPolicy) -> str:
        return "The ladder"

    def word(self, head: EscalationPolicy) -> str:
        return "ladder"

    def label(self, name: str) -> str:
        number, field = _step_of(name)
        if number is None:
            return capfirst(str(EscalationPolicy._meta.get_field(name).verbose_name))  # type: ignore[union-attr]
        return f"Step {number}: {STEP_LABELS.get(field, field)}"

    def shown(self, name: str, value: Any) -> str:
        field = _step_of(name)[1]
        if value is None:
            return "none"
        if field == "name":
            return f"“{value}”"
        if field in UNITS:
            return span(value * UNITS[field]) if value else "none"
        if field == "strike_percent":
            return f"{value} %"
        return str(intcomma(value))

    def effect(self, name: str, before: Any, after: Any) -> Effect:
        up = STRICTER_UP.get(_step_of(name)[1])
        if up is None or before is None or after is None or before == after:
            return Effect.NEITHER
        return Effect.STRICTER if (after > before) is up else Effect.MILDER

    def lines(self, current: Values, proposed: Values) -> list[Line]:
        """As sentences: a step is one, whatever changes of it."""
        found: dict[str, Line] = {}
        for name in proposed:
            if current[name] == proposed[name]:
                continue
            before, after = _sentence(name, current), _sentence(name, proposed)
            effect = self.effect(name, current[name], proposed[name])
            known = found.get(after)
            if known is not None and known.effect is not Effect.NEITHER:
                effect = known.effect if effect in (known.effect, Effect.NEITHER) else Effect.NEITHER
            number = _step_of(name)[0]
            label = f"Step {number}" if number else self.label(name)
            badge = self.badges.get(effect, "")
            found[after] = Line(name, label, before, after, effect, badge)
        return list(found.values())

    def facts(self, head: EscalationPolicy, current: Values) -> Mapping[str, Any]:
        return {"standing": _standing(current)}

    def consequences(self, head: EscalationPolicy, current: Values, proposed: Values) -> Consequences:
        return Consequences(self._is_stricter(current, proposed), {"standing": _standing(current)})

    def names_in(self, entry: AuditEntry) -> Mapping[str, str]:
        names = super().names_in(entry)
        if entry.target_type != EscalationStep._meta.label_lower:
            return names
        return {field: f"step_{entry.target_id}_{field}" for field in names}

    def replayed(self, head: EscalationPolicy, current: Values, proposed: Values) -> Question | None:
        return Question(Replay.Subject.LADDER, "", _for_a_replay(current), _for_a_replay(proposed))


PAGES = LadderPages()


def _step_of(name: str) -> tuple[int | None, str]:
    """`step_2_strikes` as 2 and `strikes`; a number of the policy as none and its name."""
    first, _, rest = name.partition("_")
    number, _, field = rest.partition("_")
    return (int(number), field) if first == "step" and number.isdigit() else (None, name)


def _for_a_replay(values: Values) -> dict[str, Any]:
    """As `usage.replay.numbers` writes a ladder."""
    steps = [
        {field: values.get(name_of(number, field)) or 0 for field in ("name", "strikes", "block_seconds")}
        | {"number": number}
        for number in STEPS[1:]
    ]
    return {name: values[name] for name in POLICY_FIELDS} | {"steps": steps}


def _sentence(name: str, values: Values) -> str:
    """The rule that the value belongs to, with all of its numbers."""
    number, _ = _step_of(name)
    if number is not None:
        return _step_in_words(number, values)
    match name:
        case "strike_refusals" | "strike_percent":
            return (
                f"A minute with at least {_many(values['strike_refusals'], 'refusal')}, and at least "
                f"{values['strike_percent']} % of the minute's limit, is a strike"
            )
        case "forgive_minutes":
            return f"{_clean(values[name] * 60)} → one strike is forgiven"
        case "warned_minutes":
            return f"{_clean(values[name] * 60)} → {values[name_of(1, 'name')]} is cleared"
        case "decay_hours":
            return f"{_clean(values[name] * 3600)} → the tier drops by one"
        case "grace_seconds":
            grace = span(values[name]) if values[name] else "no time"
            return f"After a block's end or a reactivation nothing strikes for {grace}"
        case "probation":
            return f"Reactivated on probation → {_tier(values[name], values)} is remembered"
    return f"An address never passes {_tier(values[name], values)}"


def _step_in_words(number: int, values: Values) -> str:
    """`3 strikes → Extended cooldown of 5 minutes`"""
    title = values[name_of(number, "name")]
    strikes, seconds = (values.get(name_of(number, field)) for field in ("strikes", "block_seconds"))
    if strikes is None:
        return f"Any refusal → {title}"
    leads = f"{_many(strikes, 'strike')} → {title}"
    return f"{leads} until a person ends it" if seconds is None else f"{leads} of {span(seconds)}"


def _tier(number: int, values: Values) -> str:
    return f"tier {number}, {values[name_of(number, 'name')]}"


def _clean(seconds: int) -> str:
    return span(seconds).replace(" ", " clean ", 1)


def _many(number: int, what: str) -> str:
    return f"{intcomma(number)} {what}{'' if number == 1 else 's'}"


def _standing(values: Values) -> list[dict[str, Any]]:
    """Who stands on each tier from 2 up, and how many of them are blocked now. One query."""
    counts = EscalationState.objects.counts_by_tier(timezone.now())
    return [
        {"number": number, "name": values[name_of(number, "name")], "count": counts.get(number, NOBODY)}
        for number in STEPS[1:]
    ]


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("usage.view_escalationpolicy")
def ladder(request: StaffRequest) -> HttpResponse:
    return PAGES.edit(request, _policy())


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("usage.view_escalationpolicy")
def ladder_preview(request: StaffRequest) -> HttpResponse:
    return PAGES.preview(request, _policy())


@require_POST
@staff_page("usage.view_escalationpolicy")
def undo_ladder(request: StaffRequest) -> HttpResponse:
    return PAGES.undo(request, _policy())


def _policy() -> EscalationPolicy:
    return EscalationPolicy.objects.get(pk=EscalationPolicy.ROW)
