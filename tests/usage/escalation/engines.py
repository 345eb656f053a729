"""The ladder's two engines behind one interface: the oracle, with plain counting around it, and the store.

What is told of one must be told of the other.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import redis

from accounts.tiers import Limits
from tests.usage.clock import Clock
from usage.escalation.ladder import SUSPENDED, Cause, Ladder, Move, Place, Step
from usage.limits import upkeep
from usage.limits.kinds import Verdict
from usage.limits.store import DECIDE, LEASE_MS, LimitStore, _words
from usage.subjects import Subject

NOTHING_COUNTED = (0, 0)


class Answer(NamedTuple):
    """What a decision tells, the limits and the time left out."""

    verdict: Verdict
    minute_count: int
    day_count: int
    in_flight: int
    escalation: int
    until: int
    strikes: int


class Stretch(NamedTuple):
    """What became of requests in a row, up to the first one that met a block."""

    asked: int
    served: int
    highest: int
    last: Answer


class Engine(Protocol):
    """One subject of an engine; `ladder` may be changed at any time, as staff do."""

    ladder: Ladder

    def begin(self) -> Answer:
        """A charged request that doesn't end."""

    def request(self) -> Answer:
        """A charged request that ends at once."""

    def look(self) -> Answer: ...

    def put(self, escalation: int, cause: Cause, grace: int) -> None:
        """Staff put the subject somewhere."""

    def stretch(self, times: Sequence[int]) -> Stretch:
        """Requests at some times (Unix seconds), each of which ends at once, until one meets a block."""


class Twin:
    """The oracle, and around it what is simple: two windows and the leases.

    `move` is what the last charged request changed, and `arrived` where that left the subject; `judged` are
    the facts of the minute that it was changed for: strikes, minute, served, refused.
    """

    def __init__(self, subject_id: str, limits: Limits, ladder: Ladder, clock: Clock) -> None:
        self.id = subject_id
        self.limits = limits
        self.ladder = ladder
        self.place = Place()
        self.minute = self.day = NOTHING_COUNTED  # which, and what was charged in it
        self.leases: dict[str, int] = {}  # and when each runs out, in Unix milliseconds
        self.move: Move | None = None
        self.arrived = Place()
        self.judged = (0, 0, 0, 0)
        self._clock = clock
        self._number = 0

    @property
    def minute_count(self) -> int:
        return self.minute[1] if self.minute[0] == self._clock.seconds // 60 else 0

    @property
    def day_count(self) -> int:
        return self.day[1] if self.day[0] == self._clock.seconds // 86_400 else 0

    @property
    def in_flight(self) -> int:
        now = self._clock.microseconds // 1000
        self.leases = {lease: end for lease, end in self.leases.items() if end > now}
        return len(self.leases)

    def look(self) -> Answer:
        place, _ = self.place._decayed(self._clock.seconds, self.ladder)
        return self._answer(self._verdict(place), place)

    def charge(self, lease: str) -> Answer:
        now, limit = self._clock.seconds, self.limits.minute
        before, served = self.place, self.minute[1]
        self.place, self.move = self.place.arrive(now, limit, self.ladder, self.id)
        if self.move is not None and self.move.cause is Cause.STRIKES:
            strikes = before._strikes_now(now, limit, self.ladder)
            self.judged = strikes, before.minute, served, before.refusals
        else:
            self.judged = (0, 0, 0, 0)
        self.arrived = self.place
        verdict = self._verdict(self.place)
        if verdict in (Verdict.ADMITTED, Verdict.MINUTE_FULL, Verdict.DAY_FULL):
            refused = verdict is not Verdict.ADMITTED
            self.place = self.place.counted(now, limit, self.ladder, refused=refused)
            self.minute = now // 60, self.minute_count + (not refused)
            self.day = now // 86_400, self.day_count + (not refused)
        if verdict is Verdict.ADMITTED:
            self.leases[lease] = self._clock.microseconds // 1000 + LEASE_MS
        return self._answer(verdict, self.place)

    def settle(self, lease: str) -> bool:
        """Whether the lease was still there. (What ran out is cleared away by the next decision.)"""
        return self.leases.pop(lease, None) is not None

    def take_back(self, lease: str) -> int | None:
        """Undo a charge; gives the Unix minute in which it was made, or `None` if its lease is gone."""
        end = self.leases.pop(lease, None)
        if end is None:
            return None
        charged = (end - LEASE_MS) // 1000
        if self.minute[0] == charged // 60:
            self.minute = self.minute[0], self.minute[1] - 1
        if self.day[0] == charged // 86_400:
            self.day = self.day[0], self.day[1] - 1
        return charged // 60

    def begin(self) -> Answer:
        self._number += 1
        return self.charge(str(self._number))

    def request(self) -> Answer:
        answer = self.begin()
        self.settle(str(self._number))
        return answer

    def put(self, escalation: int, cause: Cause, grace: int) -> None:
        now = self._clock.seconds
        self.place = Place(
            minute=self.place.minute,
            escalation=escalation,
            grace_until=now + grace if grace else 0,
            clean_since=now,
        )

    def stretch(self, times: Sequence[int]) -> Stretch:
        return _stretch(self, self._clock, times)

    def _verdict(self, place: Place) -> Verdict:
        if place.escalation == SUSPENDED:
            return Verdict.SUSPENDED
        if place.is_blocked(self._clock.seconds):
            return Verdict.BLOCKED
        if self.limits.day is not None and self.day_count >= self.limits.day:
            return Verdict.DAY_FULL
        if self.limits.minute is not None and self.minute_count >= self.limits.minute:
            return Verdict.MINUTE_FULL
        if self.limits.concurrent is not None and self.in_flight >= self.limits.concurrent:
            return Verdict.CONCURRENT_FULL
        return Verdict.ADMITTED

    def _answer(self, verdict: Verdict, place: Place) -> Answer:
        escalation, strikes = place.shown(self._clock.seconds, self.limits.minute, self.ladder)
        counts = self.minute_count, self.day_count, self.in_flight
        return Answer(verdict, *counts, escalation, place.until, strikes)


class RealEngine:
    """One subject of a real limit store on a driven clock, without the panel around it."""

    def __init__(
        self, store: LimitStore, subject_id: str, limits: Limits, ladder: Ladder, clock: Clock
    ) -> None:
        self._store = store
        self._subject = Subject(id=subject_id, limits=limits, tier="free", tier_revision=1)
        self._clock = clock
        self._orders = 0
        # One call may take a while here, and must not be made again.
        self._patient = redis.Redis.from_url(store.url, retry=None)
        self.ladder = ladder

    @property
    def ladder(self) -> Ladder:
        return self._store.ladder

    @ladder.setter
    def ladder(self, ladder: Ladder) -> None:
        self._store.ladder = ladder

    def look(self) -> Answer:
        return self._decide(None)

    def begin(self) -> Answer:
        return self._decide(self._store.new_lease())

    def request(self) -> Answer:
        lease = self._store.new_lease()
        answer = self._decide(lease)
        if answer.verdict is Verdict.ADMITTED:
            self._store.settle(self._subject, "convert", lease)
        return answer

    def put(self, escalation: int, cause: Cause, grace: int) -> None:
        self.look()  # an empty bucket takes no orders
        self._orders += 1
        order = f"staff:{self._orders}"
        upkeep.place(
            self._store,
            self._subject.id,
            order=order,
            cause=cause,
            escalation=escalation,
            grace=grace,
            version=0,
        )

    def stretch(self, times: Sequence[int]) -> Stretch:
        """The real script runs for each request; only the way to the store is taken once for all of them."""
        self.look()
        words = [*_words(self._subject, self.ladder)[1:], "convert"]
        reply = self._patient.eval(MANY, 5, *words, *times)
        self._clock.microseconds = times[reply[0] - 1] * 1_000_000
        last = Answer(Verdict(reply[3]), *(int(number) for number in reply[4:]))
        return Stretch(reply[0], reply[1], reply[2], last)

    def _decide(self, lease: str | None) -> Answer:
        return answer_of(self._store.decide(self._subject, "convert", lease))


def answer_of(decision: tuple[object, ...]) -> Answer:
    """A `Decision`, without the limits and the time."""
    verdict, _, _, *rest = decision
    return Answer(verdict, *rest[:6])  # type: ignore[arg-type]


def _stretch(engine: Twin, clock: Clock, times: Sequence[int]) -> Stretch:
    served = highest = 0
    for asked, time in enumerate(times, 1):  # noqa: B007 (the last one is told)
        clock.microseconds = time * 1_000_000
        answer = engine.request()
        highest = max(highest, answer.escalation)
        served += answer.verdict is Verdict.ADMITTED
        if answer.verdict in (Verdict.BLOCKED, Verdict.SUSPENDED):
            break
    return Stretch(asked, served, highest, answer)


def changed(ladder: Ladder, number: int, *, strikes: int | None = None, seconds: int | None = None) -> Ladder:
    """The ladder with another step of that number."""
    steps = list(ladder.steps)
    step = steps[number]
    steps[number] = Step(
        step.name,
        step.strikes if strikes is None else strikes,
        step.seconds if seconds is None else seconds,
    )
    return replace(ladder, steps=tuple(steps))


# `decide.lua`, once for each of some times: KEYS and ARGV as it takes them up to the route, then the times.
MANY = f"""
local function decide(KEYS, ARGV)
{DECIDE.decode()}
end
local words = {{}}
for i = 1, 11 do
  words[i] = ARGV[i]
end
local asked, served, highest, reply = 0, 0, 0, nil
for i = 12, #ARGV do
  words[12], words[13] = 'many' .. i, ARGV[i] .. '000000'
  reply = decide(KEYS, words)
  asked, highest = asked + 1, math.max(highest, reply[6])
  if reply[1] == 0 then
    served = served + 1
    redis.call('ZREM', KEYS[2], words[12])
  elseif reply[1] > 3 then
    break
  end
end
return {{asked, served, highest, reply[1], unpack(reply, 3, 8)}}
"""
