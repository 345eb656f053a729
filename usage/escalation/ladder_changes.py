"""What staff change of the ladder, as one: the policy's numbers, and each step's as `step_2_strikes`."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Q, QuerySet

from accounts.changing import Changeable, Values
from accounts.models import AuditEntry
from usage.escalation.step_numbers import takes_block, takes_strikes
from usage.models import EscalationPolicy, EscalationStep

POLICY_FIELDS = (
    *("strike_refusals", "strike_percent", "forgive_minutes", "warned_minutes"),
    *("decay_hours", "grace_seconds", "probation", "guests_highest"),
)


def name_of(number: int, field: str) -> str:
    return f"step_{number}_{field}"


def fields_of(number: int) -> list[str]:
    """What can be changed of a step."""
    has = {"name": True, "strikes": takes_strikes(number), "block_seconds": takes_block(number)}
    return [field for field, is_there in has.items() if is_there]


class LadderChanges(Changeable[EscalationPolicy]):
    model = EscalationPolicy

    def values_of(self, head: EscalationPolicy) -> Values:
        values = {name: getattr(head, name) for name in POLICY_FIELDS}
        for step in EscalationStep.objects.all():
            values |= {name_of(step.number, field): getattr(step, field) for field in fields_of(step.number)}
        return values

    def write(self, head: EscalationPolicy, changes: Mapping[str, Any]) -> None:
        """The steps as well, under one revision: every process reads all of it anew, once."""
        for step in EscalationStep.objects.all():
            names = {field: name_of(step.number, field) for field in fields_of(step.number)}
            of_step = {field: changes[name] for field, name in names.items() if name in changes}
            if of_step:
                EscalationStep.objects.filter(pk=step.pk).update(**of_step)
        of_policy = [name for name in changes if name in POLICY_FIELDS]
        for name in of_policy:
            setattr(head, name, changes[name])
        head.save(update_fields=of_policy)

    def history(self, head: EscalationPolicy) -> QuerySet[AuditEntry]:
        """With what was done to single steps in Django's admin."""
        policy, step = EscalationPolicy._meta.label_lower, EscalationStep._meta.label_lower
        return AuditEntry.objects.filter(Q(target_type=policy) | Q(target_type=step))


LADDER = LadderChanges()
