"""The ladder as staff made it: read from SQL, and named in words."""

from usage.escalation.ladder import STEPS, Ladder, Step
from usage.models import EscalationPolicy, EscalationStep
from usage.spans import HOUR_SECONDS


def read_ladder() -> Ladder:
    """The ladder in force, in two queries."""
    policy = EscalationPolicy.objects.get(pk=EscalationPolicy.ROW)
    rows = {row.number: row for row in EscalationStep.objects.all()}
    steps = tuple(
        Step(rows[number].name, rows[number].strikes or 0, rows[number].block_seconds or 0)
        if number in rows
        else default
        for number, default in enumerate(STEPS)
    )
    return Ladder(
        revision=policy.revision,
        strike_refusals=policy.strike_refusals,
        strike_percent=policy.strike_percent,
        forgive_minutes=policy.forgive_minutes,
        warned_minutes=policy.warned_minutes,
        decay_seconds=policy.decay_hours * HOUR_SECONDS,
        grace_seconds=policy.grace_seconds,
        probation=policy.probation,
        guests_highest=policy.guests_highest,
        steps=steps,
    )
