"""The escalation ladder's rules, in plain Python: what `usage/limits/decide.lua` does inside the limit store.

The script decides; this is the same once more, to be read, to check the script against, and to replay days
that are over. Nothing here reads a clock or a store: times are given, in whole Unix seconds.

- A refusal by the minute's or the day's limit warns (tier 1), and may make its minute a strike.
- A minute is judged when it is over: a strike if it had enough refusals. So there is at most one a minute.
- A strike is forgiven for every so many minutes since the last refusal.
- Enough strikes lead up one tier, and into its block. The block begins with a charged request and not by the
  clock: who stops in time is not blocked. The strikes are spent by it.
- Within a block nothing counts, and for a moment of grace after it nothing strikes.
- For every so many clean hours outside of a block the tier drops by one.
"""

import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

WARNED, COOLDOWN, DAY_BLOCK, SUSPENDED = 1, 2, 4, 5
GUEST_PREFIX = "ip:"


class Step(NamedTuple):
    """A tier: its name, the strikes that lead to it from the one below, and the seconds of its block.

    0 seconds: it has none, or (the last one) it lasts until a person ends it.
    """

    name: str
    strikes: int
    seconds: int


# The contract's, by tier. What staff made of them is in SQL: `usage.escalation.policy`.
STEPS = (
    Step("Clear", 0, 0),
    Step("Standard", 0, 0),
    Step("Extended cooldown", 3, 300),
    Step("Temporary block", 2, 3600),
    Step("Day block", 2, 86_400),
    Step("Suspension", 2, 0),
)


# Compared by identity: a cheap key for what is derived from it once.
@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """The ladder's numbers. Each default is the contract's, and `revision` 0 is older than any in SQL."""

    revision: int = 0
    strike_refusals: int = 5
    strike_percent: int = 20
    forgive_minutes: int = 10
    warned_minutes: int = 10
    decay_seconds: int = 86_400
    grace_seconds: int = 60
    probation: int = 3
    guests_highest: int = DAY_BLOCK
    steps: tuple[Step, ...] = STEPS

    def highest(self, subject_id: str) -> int:
        """The tier that a subject never passes: addresses change hands, so none is suspended."""
        return self.guests_highest if subject_id.startswith(GUEST_PREFIX) else SUSPENDED

    def on_probation(self, escalation: int) -> int:
        """What is remembered of a tier when staff reactivate on probation.

        Below 2 there is nothing to remember: tier 1 is no place, it says that a refusal was lately.
        """
        remembered = min(self.probation, escalation)
        return remembered if remembered >= COOLDOWN else 0

    def numbers(self, subject_id: str) -> bytes:
        """For the script: 14 numbers of four bytes, in the order in which it takes them apart."""
        steps = [number for step in self.steps[COOLDOWN:] for number in (step.strikes, step.seconds)]
        numbers = (
            *(self.strike_refusals, self.strike_percent, self.forgive_minutes, self.warned_minutes),
            *(self.decay_seconds, self.grace_seconds, self.highest(subject_id)),
            *steps[:-1],  # the last step has no seconds
        )
        # More than 136 years are as good as 136.
        return struct.pack(">14I", *(min(number, 2**32 - 1) for number in numbers))

    def is_bad(self, refusals: int, minute_limit: int | None) -> bool:
        """Whether a minute with so many refusals is a strike."""
        return (
            refusals >= self.strike_refusals and refusals * 100 >= (minute_limit or 0) * self.strike_percent
        )

    def strikes_above(self, escalation: int, subject_id: str) -> int:
        """How many strikes lead from a tier to the next one; for the highest, to its block once more."""
        above = min(max(escalation, WARNED) + 1, self.highest(subject_id))
        return self.steps[above].strikes


class Cause(StrEnum):
    """Why a subject moved on the ladder: by its rules, or by staff."""

    STRIKES = "strikes"
    DECAY = "decay"
    SUSPENDED = "suspended"
    REACTIVATED = "reactivated"


class Move(NamedTuple):
    """One change of tier: why, from where to where, until when (0: no block, or until a person ends it)."""

    cause: Cause
    before: int
    after: int
    until: int


# A tuple, because days that are replayed make millions of them.
class Place(NamedTuple):
    """Where a subject stands. `minute` is the last one it was counted in, with `refusals` that may strike.

    `strikes` are as of `last_refusal`, a minute, too; 0 is never.
    """

    minute: int = 0
    refusals: int = 0
    last_refusal: int = 0
    strikes: int = 0
    escalation: int = 0
    until: int = 0
    grace_until: int = 0
    clean_since: int = 0

    def is_blocked(self, now: int) -> bool:
        return self.escalation == SUSPENDED or (self.escalation >= COOLDOWN and now < self.until)

    def arrive(
        self, now: int, minute_limit: int | None, ladder: Ladder, subject_id: str
    ) -> tuple["Place", Move | None]:
        """A charged request arrives. If it then meets a limit it is `refused`, else `counted`."""
        place, decayed = self._decayed(now, ladder)
        if place.is_blocked(now):
            return place, None
        strikes = place._strikes_now(now, minute_limit, ladder)
        above = min(max(place.escalation, WARNED) + 1, ladder.highest(subject_id))
        if strikes and above >= COOLDOWN and strikes >= ladder.steps[above].strikes:
            until = 0 if above == SUSPENDED else now + ladder.steps[above].seconds
            before = decayed.before if decayed else max(place.escalation, WARNED)
            return place._replace(
                refusals=0,
                strikes=0,
                escalation=above,
                until=until,
                grace_until=until and until + ladder.grace_seconds,
                clean_since=max(now, until),
            ), Move(Cause.STRIKES, before, above, until)
        return place, decayed

    def counted(
        self, now: int, minute_limit: int | None, ladder: Ladder, *, refused: bool, times: int = 1
    ) -> "Place":
        """The request was admitted, or refused by the minute's or the day's limit; or so many at once were.

        (One that was refused for concurrency leaves no trace on the ladder.)
        """
        minute = now // 60
        strikes = self._strikes_now(now, minute_limit, ladder)
        refusals = self.refusals if self.minute == minute else 0
        if refused:
            return self._replace(
                minute=minute,
                refusals=refusals + times * (now >= self.grace_until),
                last_refusal=minute,
                strikes=strikes,
                clean_since=now if self.escalation >= COOLDOWN else self.clean_since,
            )
        kept = self._replace(
            minute=minute, refusals=refusals, strikes=self._judged(now, minute_limit, ladder)
        )
        if kept.escalation == 0 and strikes == 0 and minute - self.last_refusal > ladder.warned_minutes:
            return kept._replace(last_refusal=0, strikes=0)
        return kept

    def shown(self, now: int, minute_limit: int | None, ladder: Ladder) -> tuple[int, int]:
        """Escalation tier and strikes as people see them: a minute that will be a strike counts already."""
        minute = now // 60
        place, _ = self._decayed(now, ladder)
        strikes = place._strikes_now(now, minute_limit, ladder)
        if place.minute == minute and ladder.is_bad(place.refusals, minute_limit):
            strikes += 1
        escalation = place.escalation
        if escalation == 0 and place.last_refusal and minute - place.last_refusal <= ladder.warned_minutes:
            escalation = WARNED
        return escalation, strikes

    def _judged(self, now: int, minute_limit: int | None, ladder: Ladder) -> int:
        """Strikes with the last minute's, if that is over and was bad."""
        over = self.minute != now // 60
        return self.strikes + (over and ladder.is_bad(self.refusals, minute_limit))

    def _strikes_now(self, now: int, minute_limit: int | None, ladder: Ladder) -> int:
        forgiven = (now // 60 - self.last_refusal) // ladder.forgive_minutes
        # Not fewer than none: a clock may be set back.
        return max(0, self._judged(now, minute_limit, ladder) - max(0, forgiven))

    def _decayed(self, now: int, ladder: Ladder) -> tuple["Place", Move | None]:
        """The tier as clean time has lowered it."""
        if self.escalation < COOLDOWN or self.is_blocked(now):
            return self, None
        clean_since = max(self.clean_since, self.until)
        drops = (now - clean_since) // ladder.decay_seconds
        if drops <= 0:
            return self._replace(clean_since=clean_since), None
        after = self.escalation - drops
        after = after if after >= COOLDOWN else 0
        moved = self._replace(
            escalation=after, until=0, clean_since=clean_since + drops * ladder.decay_seconds
        )
        return moved, Move(Cause.DECAY, self.escalation, after, 0)
