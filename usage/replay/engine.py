"""One subject's recorded minutes, played once more under some limits and some ladder.

Plain Python: it reads no database and no clock. What the ladder does is the oracle's to say
(`usage.escalation.ladder`), asked exactly as the limit store's script would act.

- A minute's demand is what was asked in it: admitted, refused by the minute's or day's limit, or by a block.
- Of a minute only its number is known, so all of its requests are played at its first second. A block that
  ends within a minute therefore still refuses all of it.
- A window admits the first of the requests, and refuses the rest. The day is asked before the minute.
- What staff did to the subject in these days happens in the replay as well: a suspension holds, and a
  reactivation lifts whatever block there is, but never puts a subject higher than it stands.

In most minutes nothing of interest happens. Whether a minute within its limits could change anything at all
is known in advance (`_Rest`), and then it costs an addition.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from usage.escalation.ladder import COOLDOWN, SUSPENDED, Cause, Ladder, Move, Place

DAY_MINUTES = 1440
NEVER = 1 << 62  # a minute, or a number of requests, that is never reached
GROUND = Place()


class Windows(NamedTuple):
    """The limits that a replay knows; `None` is no limit."""

    minute: int | None
    day: int | None

    def over(self, others: "Windows") -> "Windows":
        """These where they are set, as a key's own win over its tier's; else the others."""
        return Windows(*(b if a is None else a for a, b in zip(self, others, strict=True)))


class Order(NamedTuple):
    """What staff did at a time (Unix seconds): to which tier, with so many seconds of grace."""

    at: int
    escalation: int
    grace: int


class Moved(NamedTuple):
    """A move on the ladder and when (Unix seconds)."""

    at: int
    move: Move


@dataclass(slots=True)
class Outcome:
    """What became of a subject's requests. `limited_minutes` are those in which any was refused."""

    admitted: int = 0
    minute_hits: int = 0
    day_hits: int = 0
    blocked_hits: int = 0
    limited_minutes: int = 0
    first_refusal: int | None = None  # Unix seconds
    refused_by_day: dict[int, int] = field(default_factory=lambda: defaultdict(int))  # by Unix day
    moves: list[Moved] = field(default_factory=list)
    place: Place = GROUND

    def refuse(self, minute: int, number: int) -> None:
        """Note that in a Unix minute so many were refused."""
        self.limited_minutes += 1
        self.refused_by_day[minute // DAY_MINUTES] += number
        if self.first_refusal is None:
            self.first_refusal = minute * 60

    @property
    def refused(self) -> int:
        return self.minute_hits + self.day_hits + self.blocked_hits

    @property
    def peak(self) -> tuple[int, int | None]:
        """The highest tier that the rules led to in these days, and when first (Unix seconds).

        Tier 1 is any refusal; 0 is none. Where the subject stood before counts for nothing.
        """
        climbs = [moved for moved in self.moves if moved.move.cause is Cause.STRIKES]
        if climbs:
            top = max(climbs, key=lambda moved: moved.move.after)  # the first of equals
            return top.move.after, top.at
        return (0, None) if self.first_refusal is None else (1, self.first_refusal)

    @property
    def escalated(self) -> bool:
        return self.peak[0] >= COOLDOWN

    def differs_from(self, other: "Outcome") -> bool:
        """Whether the subject would have noticed."""

        def seen(outcome: Outcome) -> tuple[int, int, int]:
            return outcome.refused, outcome.limited_minutes, outcome.peak[0]

        return seen(self) != seen(other)


def play(
    minutes: Sequence[tuple[int, int]],
    windows: Windows,
    ladder: Ladder,
    subject_id: str,
    *,
    start: Place = GROUND,
    orders: Iterable[Order] = (),
) -> Outcome:
    """Play a subject's minutes, in order, from where it stood before the first of them.

    The first minute's day has to be there from its beginning: its count starts at none.
    """
    player = _Player(windows, ladder, subject_id, start)
    played = 0
    for order in orders:
        # Minutes that begin with the order or later come after it.
        first_after = bisect_left(minutes, (-(-order.at // 60), 0), lo=played)
        player.play(minutes[played:first_after])
        player.obey(order)
        played = first_after
    player.play(minutes[played:] if played else minutes)
    return player.outcome


class _Rest(NamedTuple):
    """Before `blocked_until` every request is refused and changes nothing; then, before `quiet_until`, a
    minute within its limits changes nothing. Both are Unix minutes."""

    blocked_until: int
    quiet_until: int

    @classmethod
    def of(cls, place: Place, ladder: Ladder) -> "_Rest":
        """What is known in advance of a place where no strike is due: one that a request has just left."""
        if place.escalation == SUSPENDED:
            return cls(NEVER, 0)
        if place.refusals:
            return cls(0, 0)  # its minute is to be judged
        if place.escalation < COOLDOWN:
            return cls(0, NEVER)
        # Until it decays. Strikes are no matter: a request that led to no block leaves too few of them.
        decays = max(place.clean_since, place.until) + ladder.decay_seconds
        return cls(_ceiling(place.until), _ceiling(decays))


def _ceiling(seconds: int) -> int:
    """The first minute that begins at that time or later."""
    return -(-seconds // 60)


class _Player:
    """Plays minutes, and keeps where that leads between two stretches of them."""

    def __init__(self, windows: Windows, ladder: Ladder, subject_id: str, start: Place) -> None:
        self.windows = windows
        self.ladder = ladder
        self.subject_id = subject_id
        self.outcome = Outcome(place=start)
        self._midnight = 0  # the minute in which the day that is counted ends
        self._charged = 0  # in it

    def obey(self, order: Order) -> None:
        place = self.outcome.place
        if order.escalation == SUSPENDED:
            self.outcome.place = Place(escalation=SUSPENDED)
        elif place.escalation >= COOLDOWN:
            self.outcome.place = Place(
                escalation=min(order.escalation, place.escalation),
                grace_until=order.at + order.grace if order.grace else 0,
                clean_since=order.at,
            )

    def play(self, minutes: Sequence[tuple[int, int]]) -> None:
        minute_limit = NEVER if self.windows.minute is None else self.windows.minute
        day_limit = NEVER if self.windows.day is None else self.windows.day
        outcome, midnight, charged = self.outcome, self._midnight, self._charged
        outcome.admitted -= charged  # the day goes on: it is added when it ends
        blocked_until, quiet_until = _Rest.of(outcome.place, self.ladder)
        for minute, demand in minutes:
            if minute >= midnight:
                outcome.admitted += charged
                midnight, charged = minute - minute % DAY_MINUTES + DAY_MINUTES, 0
            if minute < blocked_until:
                outcome.blocked_hits += demand
                outcome.refuse(minute, demand)
            elif minute < quiet_until and demand <= minute_limit and demand <= day_limit - charged:
                charged += demand
            else:
                charged += self._step(minute, demand, minute_limit, day_limit - charged)
                blocked_until, quiet_until = _Rest.of(outcome.place, self.ladder)
        outcome.admitted += charged
        self._midnight, self._charged = midnight, charged

    def _step(self, minute: int, demand: int, minute_limit: int, day_left: int) -> int:
        """A minute's requests by the rules; gives how many were admitted."""
        now, limit, ladder, outcome = minute * 60, self.windows.minute, self.ladder, self.outcome
        place = outcome.place
        if place.refusals or place.strikes or place.escalation >= COOLDOWN:  # else it has nothing to judge
            place, move = place.arrive(now, limit, ladder, self.subject_id)
            if move is not None:
                outcome.moves.append(Moved(now, move))
        if place.is_blocked(now):
            hits = demand
            outcome.blocked_hits += hits
        else:
            hits = max(0, demand - min(minute_limit, day_left))
            # The last kind of them leaves the same trace, whatever came before it in its minute.
            place = place.counted(now, limit, ladder, refused=hits > 0, times=hits)
            if day_left <= minute_limit:
                outcome.day_hits += hits
            else:
                outcome.minute_hits += hits
        outcome.place = place
        if hits:
            outcome.refuse(minute, hits)
        return demand - hits
