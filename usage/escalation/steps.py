"""The escalation ladder's steps, as the contract names them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One escalation tier: its number, its name, and what happens to the subject that stands on it."""

    number: int
    name: str
    consequence: str


STEPS = (
    Step(0, "Clear", "Nothing: every request is served within the limits."),
    Step(1, "Standard", "Requests over a limit are refused, with the time to come back."),
    Step(2, "Extended cooldown", "Charged requests are refused for 5 minutes."),
    Step(3, "Temporary block", "Charged requests are refused for 1 hour."),
    Step(4, "Day block", "Charged requests are refused for 24 hours; the key's owner gets an email."),
    Step(5, "Suspension", "The key is refused until a person reactivates it; its owner gets an email."),
)

# Strikes that lead from Standard to the cooldown.
STRIKES_TO_COOLDOWN = 3
