"""What a change does, a line each: before, after, and whether somebody can do less by it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Effect(StrEnum):
    STRICTER = "stricter"
    MILDER = "milder"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class Line:
    """`name` is the value's; `badge` says the effect in a word that fits the thing, "" for none."""

    name: str
    label: str
    before: str
    after: str
    effect: Effect = Effect.NEITHER
    badge: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """An entry of a thing's history, for its page."""

    pk: int
    at: datetime
    who: str
    action: str
    reason: str
    lines: list[Line]
    can_undo: bool


def effect_of_limit(before: int | None, after: int | None) -> Effect:
    """No limit is more than any."""
    if before == after:
        return Effect.NEITHER
    is_lower = after is not None and (before is None or after < before)
    return Effect.STRICTER if is_lower else Effect.MILDER


def in_one(lines: list[Line]) -> str:
    """For a sentence: `requests per minute 30 → 20, name “Free” → “Basic”`."""

    def each() -> Iterator[str]:
        for line in lines:
            yield f"{line.label[:1].lower()}{line.label[1:]} {line.before} → {line.after}"

    return ", ".join(each())
