"""Which numbers a step of the ladder has: by its place, not by anybody's choice."""

from usage.escalation.ladder import COOLDOWN, SUSPENDED


def takes_strikes(number: int) -> bool:
    """Whether strikes lead to it: to tier 1 any refusal does."""
    return number >= COOLDOWN


def takes_block(number: int) -> bool:
    """Whether it blocks for a time: a suspension lasts until a person ends it."""
    return COOLDOWN <= number < SUSPENDED


def mistakes(number: int, *, strikes: int | None, block_seconds: int | None) -> dict[str, str]:
    """By field, why these can't be the numbers of the step."""
    found = {}
    if takes_strikes(number) and strikes is None:
        found["strikes"] = "Say how many strikes lead here."
    elif not takes_strikes(number) and strikes is not None:
        found["strikes"] = "Any refusal leads here: this step takes no strikes."
    if takes_block(number) and block_seconds is None:
        found["block_seconds"] = "Say for how long this step blocks."
    elif not takes_block(number) and block_seconds is not None:
        found["block_seconds"] = (
            "A suspension lasts until a person ends it."
            if number == SUSPENDED
            else "This step blocks nothing."
        )
    return found
