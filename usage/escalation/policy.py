"""The ladder as staff made it: read from SQL, and named in words."""

from typing import Any

from usage.escalation.ladder import STEPS, Ladder, Step
from usage.models import EscalationPolicy
from usage.spans import HOUR_SECONDS

# The policy beside each of its steps: one query, because every page about limits reads the ladder.
_POLICY_AND_STEPS = """
    SELECT policy.*, step.number AS step_number, step.name AS step_name, step.strikes AS step_strikes,
        step.block_seconds AS step_seconds
    FROM usage_escalationpolicy policy LEFT JOIN usage_escalationstep step ON TRUE
    WHERE policy.id = %s
"""


def read_ladder() -> Ladder:
    """The ladder in force, in one query."""
    found: list[Any] = list(EscalationPolicy.objects.raw(_POLICY_AND_STEPS, [EscalationPolicy.ROW]))
    if not found:
        raise EscalationPolicy.DoesNotExist
    policy, rows = found[0], {row.step_number: row for row in found}
    steps = tuple(
        Step(rows[number].step_name, rows[number].step_strikes or 0, rows[number].step_seconds or 0)
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
