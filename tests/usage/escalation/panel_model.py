"""What web processes, the limit store and SQL know of a few subjects, by the oracle and by plain counting.

It is the panel once more without its ways to go about it: no script, no cache but a dictionary, no SQL.
Each method is what one process does at one moment.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from accounts.tiers import Limits
from tests.usage.clock import Clock
from tests.usage.escalation.engines import Answer, Twin
from usage.escalation.ladder import DAY_BLOCK, SUSPENDED, Cause, Ladder, Place
from usage.limits.kinds import REFUSED_BY, Verdict
from usage.subjects import bucket_of

GOOD_SECONDS, REFUSED_SECONDS, BLOCK_SECONDS = 60, 5, 4
SETTLING, LATE = 5, 4
ACTIVE, SUSPENDED_KEY, REVOKED = "active", "suspended", "revoked"


@dataclass
class State:
    """A subject's row of `EscalationState`."""

    escalation: int = 0
    until: int = 0
    clean_since: int = 0
    grace_until: int = 0
    version: int = 0
    order: str = ""
    pending: bool = False


@dataclass(frozen=True)
class Entry:
    """A change in a bucket's stream. `number` is its own; `order` is that of staff, if it was theirs."""

    number: int
    subject: str
    cause: Cause
    before: int
    after: int
    until: int
    facts: tuple[int, int, int, int]  # strikes, minute, served, refused
    at: int
    version: int
    clean_since: int
    grace_until: int
    order: str = ""


class Event(NamedTuple):
    """A row of the history."""

    cause: str
    before: int
    after: int
    until: int
    facts: tuple[int, int, int, int]
    at: int


@dataclass(frozen=True)
class Copy:
    """What a process remembers of a key or a network."""

    until: int
    status: str
    revision: int
    tier_revision: int


@dataclass
class Web:
    """One web process."""

    copies: dict[str, Copy] = field(default_factory=dict)
    blocks: dict[str, tuple[int, int, str]] = field(default_factory=dict)  # asked at, until, outcome
    ladder_revision: int = -1


@dataclass(frozen=True)
class Expected:
    """How a request is answered; `answer` is the store's, where it was asked."""

    status: int
    code: str
    answer: Answer | None = None

    @property
    def is_concurrency(self) -> bool:
        return self.answer is not None and self.answer.verdict is Verdict.CONCURRENT_FULL


class PanelModel:
    def __init__(self, clock: Clock, limits: dict[str, Limits], ladder: Ladder) -> None:
        self._clock = clock
        self.limits = limits
        self.ladder = ladder
        self.webs = [Web(), Web()]
        # SQL
        self.status = {sid: ACTIVE for sid in limits if sid.startswith("k:")}
        self.revision = dict.fromkeys(limits, 0)
        self.tier_revision = dict.fromkeys(limits, 0)
        self.ladder_revision = 0
        self.states: dict[str, State] = {}
        self.events: dict[str, list[Event]] = defaultdict(list)
        self.recorded: set[int] = set()
        self.notices: Counter[str] = Counter()
        self.minutes: dict[tuple[str, int], Counter[str]] = {}
        self.hits: dict[tuple[str, int, str, str], int] = {}
        self.buckets = sorted({bucket_of(sid) for sid in limits})
        self.booked_until = dict.fromkeys(self.buckets, self.minute)
        # The web processes, together
        self.waiting: Counter[tuple[str, int, str, str]] = Counter()
        self._numbers = 0
        self.lose_store()

    @property
    def now(self) -> int:
        return self._clock.seconds

    @property
    def minute(self) -> int:
        return self.now // 60

    # The limit store

    def lose_store(self) -> None:
        """FLUSHALL: what isn't in SQL yet is lost, and what is there comes back when it is asked for."""
        self.alive: set[int] = set()
        self.usage: Counter[tuple[str, int, str, str]] = Counter()
        self.streams: dict[int, list[Entry]] = {bucket: [] for bucket in self.buckets}
        self.followed = dict.fromkeys(self.buckets, 0)
        self.announced = dict.fromkeys(self.limits, 0)
        self.twins = {sid: self._new_twin(sid) for sid in self.limits}
        self.versions = dict.fromkeys(self.limits, 0)
        self.orders = dict.fromkeys(self.limits, "")

    def _new_twin(self, sid: str) -> Twin:
        return Twin(sid, self.limits[sid], self.ladder, self._clock)

    def build(self, bucket: int) -> None:
        """The bucket is asked: if it is empty, it is given what SQL remembers."""
        if bucket in self.alive:
            return
        self.alive.add(bucket)
        for sid in self._of(bucket):
            twin, state = self.twins[sid], self.states.get(sid, State())
            self.announced[sid] = max(self.announced[sid], self.revision[sid])
            if state.escalation:
                twin.place = Place(
                    escalation=state.escalation,
                    until=state.until,
                    grace_until=state.grace_until,
                    clean_since=state.clean_since,
                )
                self.versions[sid], self.orders[sid] = state.version, state.order
            today = self.now // 86_400
            admitted = sum(
                counts["admitted"]
                for (subject, minute), counts in self.minutes.items()
                if subject == sid and minute // 1440 == today
            )
            if admitted:
                twin.day = today, admitted

    def look(self, sid: str) -> Answer:
        self.build(bucket_of(sid))
        return self._twin(sid).look()

    def _twin(self, sid: str) -> Twin:
        twin = self.twins[sid]
        twin.limits, twin.ladder = self.limits[sid], self.ladder
        return twin

    def _charge(self, sid: str, route: str, lease: str) -> tuple[Answer, Entry | None]:
        twin = self._twin(sid)
        answer = twin.charge(lease)
        entry = None
        if twin.move is not None:
            move, place = twin.move, twin.arrived
            self.versions[sid] = max(self.versions[sid] + 1, self.now)
            entry = self._append(
                sid, move.cause, move.before, move.after, move.until, twin.judged, place=place
            )
        self.usage[sid, self.minute, route, outcome_of(answer)] += 1
        return answer, entry

    def _append(
        self,
        sid: str,
        cause: Cause,
        before: int,
        after: int,
        until: int,
        facts: tuple[int, int, int, int],
        *,
        place: Place,
        order: str = "",
    ) -> Entry:
        self._numbers += 1
        entry = Entry(
            self._numbers,
            sid,
            cause,
            before,
            after,
            until,
            facts,
            self.now,
            self.versions[sid],
            place.clean_since,
            place.grace_until,
            order,
        )
        self.streams[bucket_of(sid)].append(entry)
        return entry

    # A web process

    def ask(self, web: Web, sid: str, route: str, lease: str | None, *, dies: bool = False) -> Expected:
        """A request; charged, if it comes with a lease's name. `dies`: before a suspension is in SQL."""
        copy = web.copies.get(sid)
        if copy is None or copy.until <= self.now:
            copy = self._read(web, sid)
        if copy.status != ACTIVE:
            return self._refused_by_key(sid, copy.status, route, lease)
        if lease and sid in web.blocks:
            asked_at, until, outcome = web.blocks[sid]
            if self.now - asked_at < BLOCK_SECONDS and self.now < until:
                self.waiting[sid, self.minute, route, outcome] += 1
                return Expected(429, code_of(outcome))
        self.build(bucket_of(sid))
        if self._is_stale(web, sid, copy):
            web.ladder_revision = self.ladder_revision
            copy = self._read(web, sid)
            if copy.status != ACTIVE:
                return self._refused_by_key(sid, copy.status, route, lease)
        if lease is None:
            answer, entry = self.look(sid), None
        else:
            answer, entry = self._charge(sid, route, lease)
        if answer.verdict is Verdict.SUSPENDED:
            if entry is not None and not dies:
                self.record(entry)
            return Expected(403, "key_suspended")
        if answer.verdict is not Verdict.BLOCKED:
            web.blocks.pop(sid, None)
        if lease is None or answer.verdict is Verdict.ADMITTED:
            return Expected(200, "", answer)
        outcome = outcome_of(answer)
        if answer.verdict is Verdict.BLOCKED:
            web.blocks[sid] = self.now, answer.until, outcome
        return Expected(429, code_of(outcome), answer)

    def _is_stale(self, web: Web, sid: str, copy: Copy) -> bool:
        return (
            self.announced[sid] > copy.revision
            or self.tier_revision[sid] > copy.tier_revision
            or self.ladder_revision > web.ladder_revision
        )

    def _read(self, web: Web, sid: str) -> Copy:
        status = self.status.get(sid, ACTIVE)
        keep = GOOD_SECONDS if status == ACTIVE else REFUSED_SECONDS
        web.copies[sid] = Copy(self.now + keep, status, self.revision[sid], self.tier_revision[sid])
        return web.copies[sid]

    def _refused_by_key(self, sid: str, status: str, route: str, lease: str | None) -> Expected:
        if status == REVOKED:
            return Expected(401, "key_revoked")
        if lease:
            self.waiting[sid, self.minute, route, "suspended"] += 1
        return Expected(403, "key_suspended")

    def settle(self, sid: str, route: str, lease: str, *, failed: bool) -> None:
        if self.twins[sid].settle(lease) and failed:
            self.usage[sid, self.minute, route, "failed"] += 1

    def take_back(self, web: Web, sid: str, copy: Copy, route: str, lease: str, outcome: str) -> Answer:
        """A view refuses what was admitted by this copy of its key; gives how the subject stands then."""
        minute = self.twins[sid].take_back(lease)
        if minute is not None and self.now < minute * 60 + 60 + LATE:
            self.usage[sid, minute, route, "admitted"] -= 1
        self.build(bucket_of(sid))
        if self._is_stale(web, sid, copy):
            web.ladder_revision = self.ladder_revision
        self.waiting[sid, self.minute, route, outcome] += 1
        return self.look(sid)

    def bring_hits(self) -> None:
        oldest = (self.now - LATE) // 60
        for (sid, minute, route, outcome), n in self.waiting.items():
            brought_to = minute if oldest <= minute <= self.minute else self.minute
            self.usage[sid, brought_to, route, outcome] += n
        self.waiting.clear()

    # The worker

    def book(self, bucket: int, until: int) -> None:
        """Everything of a bucket up to a minute is in SQL."""
        for (sid, minute, route, outcome), n in self.usage.items():
            if n and bucket_of(sid) == bucket and self.booked_until[bucket] < minute <= until:
                counts = self.minutes.setdefault((sid, minute), Counter())
                counts[outcome] += n
                if outcome not in ("admitted", "failed"):
                    self.hits[sid, minute, route, outcome] = n
        self.booked_until[bucket] = until

    @property
    def last_closed(self) -> int:
        return (self.now - SETTLING) // 60 - 1

    def follow(self, bucket: int, until: int | None = None) -> None:
        """Record a bucket's changes, all of them or the first ones."""
        for entry in self.streams[bucket][self.followed[bucket] : until]:
            self.record(entry)
        self.followed[bucket] = len(self.streams[bucket]) if until is None else until

    def record(self, entry: Entry) -> None:
        sid = entry.subject
        state = self.states.setdefault(sid, State())
        if entry.number not in self.recorded and not entry.order:
            self.recorded.add(entry.number)
            self.events[sid].append(
                Event(entry.cause, entry.before, entry.after, entry.until, entry.facts, entry.at)
            )
            if sid in self.status and entry.cause is Cause.STRIKES and entry.after in (DAY_BLOCK, SUSPENDED):
                self.notices["day_block" if entry.after == DAY_BLOCK else "suspension"] += 1
        if entry.version <= state.version or (state.pending and entry.order != state.order):
            return
        self.states[sid] = replace(
            state,
            escalation=entry.after,
            until=entry.until,
            clean_since=entry.clean_since,
            grace_until=entry.grace_until,
            version=entry.version,
            pending=False,
        )
        self._follow_status(sid, entry.after, heard=True)

    def _follow_status(self, sid: str, escalation: int, *, heard: bool) -> None:
        status = self.status.get(sid)
        if escalation == SUSPENDED and status == ACTIVE:
            self.save_key(sid, status=SUSPENDED_KEY, heard=heard)
        elif escalation != SUSPENDED and status == SUSPENDED_KEY:
            self.save_key(sid, status=ACTIVE, heard=heard)

    # Staff

    def save_key(self, sid: str, *, status: str | None = None, heard: bool = True) -> None:
        """`heard`: the store can be told of it."""
        self.status[sid] = status or self.status[sid]
        self.revision[sid] += 1
        if heard:
            self.announced[sid] = self.revision[sid]

    def may_suspend(self, sid: str) -> bool:
        return self.status[sid] == ACTIVE

    def may_reactivate(self, sid: str) -> bool:
        state = self.states.get(sid, State())
        if self.status[sid] == REVOKED:
            return False
        return self.status[sid] == SUSPENDED_KEY or state.escalation == SUSPENDED or state.until > self.now

    def reactivated_to(self, sid: str, *, clean: bool) -> int:
        remembered = min(self.ladder.probation, self.states[sid].escalation or SUSPENDED)
        return 0 if clean or remembered < 2 else remembered

    def order(self, sid: str, order: str, cause: Cause, escalation: int, *, heard: bool) -> None:
        """Staff's order, in SQL, and if the store hears of it carried out there."""
        state = self.states.setdefault(sid, State())
        self.events[sid].append(Event(cause, state.escalation, escalation, 0, (0, 0, 0, 0), self.now))
        self.notices["suspension" if cause is Cause.SUSPENDED else "reactivation"] += 1
        grace = self.ladder.grace_seconds if cause is Cause.REACTIVATED else 0
        self.states[sid] = State(
            escalation=escalation,
            clean_since=self.now,
            grace_until=self.now + grace if grace else 0,
            version=max(state.version + 1, self.now),
            order=order,
            pending=True,
        )
        self._follow_status(sid, escalation, heard=heard)
        if heard:
            self.tell(sid, cause)

    def tell(self, sid: str, cause: Cause, *, told: bool = True) -> None:
        """Carry an order out; `told`: SQL learns that it is."""
        state, version = self.states[sid], 0
        self.build(bucket_of(sid))
        if self.orders[sid] != state.order:
            grace = self.ladder.grace_seconds if cause is Cause.REACTIVATED else 0
            before = self.twins[sid].place.escalation
            self.twins[sid].put(state.escalation, cause, grace)
            version = self.versions[sid] = max(self.versions[sid] + 1, state.version + 1, self.now)
            self.orders[sid] = state.order
            self._append(
                *(sid, cause, before, state.escalation, 0, (0, 0, 0, 0)),
                place=self.twins[sid].place,
                order=state.order,
            )
        if told:
            self.states[sid] = replace(state, pending=False, version=max(version, state.version))

    def _of(self, bucket: int) -> list[str]:
        return [sid for sid in self.limits if bucket_of(sid) == bucket]


def outcome_of(answer: Answer) -> str:
    """Under which name a request is counted."""
    if answer.verdict is Verdict.ADMITTED:
        return "admitted"
    if answer.verdict is Verdict.BLOCKED:
        return "cooldown" if answer.escalation == 2 else "blocked"
    return "suspended" if answer.verdict is Verdict.SUSPENDED else str(REFUSED_BY[answer.verdict])


def code_of(outcome: str) -> str:
    return outcome if outcome in ("cooldown", "blocked") else "rate_limited"
