"""A key's way up and down the ladder, in words for its owner. Staff are "staff" there, never an address."""

from dataclasses import dataclass
from datetime import datetime

from usage.escalation.ladder import COOLDOWN, SUSPENDED, Cause, Ladder
from usage.escalation.words import span
from usage.models import EscalationEvent

ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


@dataclass(frozen=True, slots=True)
class Happening:
    """One change: when, what in a few words, why in a sentence, by whom ("staff" or "the ladder").

    `kind` is for a sign beside the words: `cooldown`, `block`, `suspension`, `ease` or `reactivation`.
    `block` is the number of the page that a block or suspension has.
    """

    at: datetime
    kind: str
    what: str
    why: str
    by: str
    block: int | None = None


def in_words(event: EscalationEvent, ladder: Ladder) -> Happening:
    """`ladder` lends its names as they are today; an event remembers numbers."""
    match Cause(event.cause):
        case Cause.STRIKES:
            why = why_it_struck(event)
            return Happening(event.at, _kind(event), _what_struck(event), why, "the ladder", event.pk)
        case Cause.DECAY:
            name = ladder.steps[event.after].name
            drops = event.before - max(event.after, COOLDOWN - 1)
            clean = span(drops * ladder.decay_seconds).replace(" ", " clean ", 1)
            return Happening(event.at, "ease", f"Dropped to {name}", f"After {clean}.", "the ladder")
        case Cause.SUSPENDED:
            return Happening(event.at, "suspension", "Suspended by staff", event.reason, "staff", event.pk)
        case Cause.REACTIVATED:
            how = f"on probation, tier {event.after} remembered" if event.after else "with a clean slate"
            return Happening(event.at, "reactivation", f"Reactivated {how}", event.reason, "staff")


def why_it_struck(event: EscalationEvent) -> str:
    """`118 requests in one minute, limit 30; third strike.`"""
    count = event.strikes
    which = f"{ORDINALS[count]} strike" if 0 < count < len(ORDINALS) else f"{count} strikes"
    asked = event.served + event.refused
    if not event.refused:
        # The numbers of strikes were changed since: the minute that tipped the scale was a good one.
        return f"{which[0].upper()}{which[1:]}."
    if event.minute_limit is not None and asked > event.minute_limit:
        return f"{asked:,} request{_s(asked)} in one minute, limit {event.minute_limit:,}; {which}."
    refused = f"{event.refused:,} request{_s(event.refused)}"
    return f"{refused} in one minute after the day's were used up; {which}."


def _what_struck(event: EscalationEvent) -> str:
    if event.after == SUSPENDED or event.until is None:
        return "Suspended by the ladder"
    length = span(round((event.until - event.at).total_seconds()))
    return f"Cooldown of {length}" if event.after == COOLDOWN else f"Blocked for {length}"


def _kind(event: EscalationEvent) -> str:
    return {COOLDOWN: "cooldown", SUSPENDED: "suspension"}.get(event.after, "block")


def _s(number: int) -> str:
    return "" if number == 1 else "s"
