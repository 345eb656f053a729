"""The ladder's steps in words, with the numbers that staff gave them."""

from dataclasses import dataclass

from usage.escalation.ladder import DAY_BLOCK, SUSPENDED, WARNED, Ladder
from usage.spans import DAY_SECONDS, HOUR_SECONDS, MINUTE_SECONDS

SPANS = ((DAY_SECONDS, "day"), (HOUR_SECONDS, "hour"), (MINUTE_SECONDS, "minute"), (1, "second"))


@dataclass(frozen=True, slots=True)
class StepInWords:
    """One escalation tier: its number, its name, and what happens to the subject that stands on it."""

    number: int
    name: str
    consequence: str


def steps_in_words(ladder: Ladder) -> list[StepInWords]:
    return [
        StepInWords(number, step.name, _consequence(number, step.seconds))
        for number, step in enumerate(ladder.steps)
    ]


def _consequence(number: int, seconds: int) -> str:
    if number < WARNED:
        return "Nothing: every request is served within the limits."
    if number == WARNED:
        return "Requests over a limit are refused, with the time to come back."
    if number == SUSPENDED:
        return "The key is refused until a person reactivates it; its owner gets an email."
    mail = "; the key's owner gets an email" if number == DAY_BLOCK else ""
    return f"Charged requests are refused for {span(seconds)}{mail}."


def span(seconds: int) -> str:
    """A length of time in the largest unit that divides it: `5 minutes`, `24 hours`, `90 seconds`."""
    # A day is told in hours: "for 1 day" could mean the rest of today.
    for length, unit in SPANS:
        if seconds % length == 0 and seconds >= length * (2 if unit == "day" else 1):
            number = seconds // length
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{seconds} seconds"
