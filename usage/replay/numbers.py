"""What is proposed, as `usage.models.Replay` holds it, in plain JSON.

Of a tier its limits, and of the ladder all of its numbers, under the names that their models' fields have.
"""

from collections.abc import Mapping
from typing import Any

from accounts.tiers import Limits
from usage.escalation.ladder import COOLDOWN, STEPS, Ladder, Step
from usage.replay.engine import Windows
from usage.spans import HOUR_SECONDS

Numbers = Mapping[str, Any]

# What a replay of a tier can tell of; the other limits leave no trace in the minutes.
REPLAYED = Windows._fields


def of_limits(limits: Limits) -> dict[str, int | None]:
    return limits._asdict()


def of_ladder(ladder: Ladder) -> dict[str, Any]:
    return {
        "strike_refusals": ladder.strike_refusals,
        "strike_percent": ladder.strike_percent,
        "forgive_minutes": ladder.forgive_minutes,
        "warned_minutes": ladder.warned_minutes,
        "decay_hours": ladder.decay_seconds // HOUR_SECONDS,
        "grace_seconds": ladder.grace_seconds,
        "probation": ladder.probation,
        "guests_highest": ladder.guests_highest,
        "steps": [
            {"number": number, "name": step.name, "strikes": step.strikes, "block_seconds": step.seconds}
            for number, step in enumerate(ladder.steps)
            if number >= COOLDOWN
        ],
    }


def limits_of(numbers: Numbers) -> Limits:
    """The limits that `of_limits` wrote; one that isn't named is none."""
    return Limits(*(numbers.get(kind) for kind in Limits._fields))


def ladder_of(numbers: Numbers) -> Ladder:
    """The ladder that `of_ladder` wrote. Steps that aren't named are the contract's."""
    steps = list(STEPS)
    for step in numbers["steps"]:
        steps[step["number"]] = Step(step["name"], step["strikes"] or 0, step["block_seconds"] or 0)
    return Ladder(
        strike_refusals=numbers["strike_refusals"],
        strike_percent=numbers["strike_percent"],
        forgive_minutes=numbers["forgive_minutes"],
        warned_minutes=numbers["warned_minutes"],
        decay_seconds=numbers["decay_hours"] * HOUR_SECONDS,
        grace_seconds=numbers["grace_seconds"],
        probation=numbers["probation"],
        guests_highest=numbers["guests_highest"],
        steps=tuple(steps),
    )
