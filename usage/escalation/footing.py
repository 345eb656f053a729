"""Where a subject stands on the ladder, told to people: on its page, by commands, in answers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from usage.escalation.history import why_it_struck
from usage.escalation.ladder import COOLDOWN, SUSPENDED, WARNED, Ladder, Place
from usage.escalation.memory import seconds
from usage.escalation.words import span
from usage.limits.decision import Decision
from usage.limits.upkeep import Trace
from usage.models import EscalationEvent, EscalationState
from usage.spans import time_of
from usage.subjects import Subject


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a subject stands where it does, and when that was."""

    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Footing:
    """A subject's place on the ladder at `now` (Unix seconds).

    While the limit store can't be asked it is what SQL remembers: then `strikes` is `None`, and the place is
    not known at all (`is_known`) if SQL remembers none from tier 2 up. `until` is the end of the last block,
    which may be over.
    """

    ladder: Ladder
    subject: str
    minute_limit: int | None
    now: int
    escalation: int
    strikes: int | None
    until: int
    trace: Trace
    why: Reason | None = None
    came_by: EscalationEvent | None = None
    is_known: bool = True

    @property
    def name(self) -> str:
        return self.ladder.steps[self.escalation].name

    @property
    def is_suspended(self) -> bool:
        return self.escalation == SUSPENDED

    @property
    def blocked_until(self) -> datetime | None:
        """The end of a block that is running."""
        runs = COOLDOWN <= self.escalation < SUSPENDED and self.until > self.now
        return time_of(self.until) if runs else None

    @property
    def is_remembered(self) -> bool:
        """Whether the key is served again and its tier stays for a while: after a block, or on probation."""
        return COOLDOWN <= self.escalation < SUSPENDED and self.until <= self.now

    @property
    def level(self) -> str:
        """`ok`, `near` or `full`, as of a quota; `unknown`."""
        if not self.is_known:
            return "unknown"
        if self.escalation == 0:
            return "ok"
        return "full" if self.is_suspended or (self.blocked_until and self.escalation > COOLDOWN) else "near"

    @property
    def was_reactivated(self) -> bool:
        return self.came_by is not None and self.came_by.cause == EscalationEvent.Cause.REACTIVATED

    @property
    def was_suspended_by_staff(self) -> bool:
        return self.came_by is not None and self.came_by.cause == EscalationEvent.Cause.SUSPENDED

    @property
    def strikes_needed(self) -> int:
        """From this tier to the next one; 0 from the last."""
        return 0 if self._is_at_the_end else self.ladder.strikes_above(self.escalation, self.subject)

    @property
    def strikes_left(self) -> int | None:
        if self.strikes is None or self._is_at_the_end:
            return None
        return max(0, self.strikes_needed - self.strikes)

    @property
    def refusals_for_strike(self) -> int:
        """So many refusals make one of the subject's minutes a strike."""
        of_limit = -(-(self.minute_limit or 0) * self.ladder.strike_percent // 100)
        return max(self.ladder.strike_refusals, of_limit)

    @property
    def next(self) -> str:
        """What the next strikes lead to, in a sentence."""
        if self.is_suspended:
            return "Nothing by itself: this is the last step."
        if self._is_at_the_end:
            return "Nothing: addresses climb no further."
        above = self.ladder.steps[self._above]
        if self._above == SUSPENDED:
            leads_to = f"{above.name}: the key is refused until a person reactivates it"
        else:
            article = "an" if above.name[:1].lower() in "aeiou" else "a"
            leads_to = f"{article} {above.name} of {span(above.seconds)}"
        if self.strikes_left == 0:
            # A minute is judged when it is over, and a block begins with a request.
            over = "Once this minute is over, the" if self.trace.last_refusal == self.now // 60 else "The"
            return f"{over} next request leads to {leads_to}."
        left = self.strikes_needed if self.strikes_left is None else self.strikes_left
        more = "" if self.strikes_left in (None, self.strikes_needed) else "more "
        return f"{left} {more}strike{'' if left == 1 else 's'} lead{'s' if left == 1 else ''} to {leads_to}."

    @property
    def eases_at(self) -> datetime | None:
        """When the tier drops if nothing is refused by the minute's or the day's limit until then."""
        if self.escalation == WARNED and self.trace.last_refusal:
            return time_of((self.trace.last_refusal + self.ladder.warned_minutes + 1) * 60)
        if not COOLDOWN <= self.escalation < SUSPENDED:
            return None
        clean_since = max(self.trace.clean_since, self.until)
        drops = max(0, (self.now - clean_since) // self.ladder.decay_seconds)
        return time_of(clean_since + (drops + 1) * self.ladder.decay_seconds)

    @property
    def eases_to(self) -> str:
        """The name of the tier that it then drops to."""
        below = self.escalation - 1
        return self.ladder.steps[below if below >= COOLDOWN else 0].name

    @property
    def forgiven_at(self) -> datetime | None:
        """When the next strike is forgiven, on the same condition."""
        if not self.strikes or self.blocked_until:
            return None
        forgive = self.ladder.forgive_minutes
        so_far = (self.now // 60 - self.trace.last_refusal) // forgive
        return time_of((self.trace.last_refusal + (so_far + 1) * forgive) * 60)

    @property
    def grace_until(self) -> datetime | None:
        """Until when nothing strikes, after a block or a reactivation; `None` if that is over."""
        runs = self.trace.grace_until > self.now and self.blocked_until is None and not self.is_suspended
        return time_of(self.trace.grace_until) if runs else None

    def as_plain_values(self) -> dict[str, Any]:
        """For JSON; what is not known is `null`."""
        return {
            "tier": self.escalation if self.is_known else None,
            "name": self.name if self.is_known else None,
            "until": _iso(self.blocked_until),
            "reason": self.why.text if self.why else None,
            "strikes": self.strikes,
            "strikes_to_next_tier": self.strikes_left,
            "eases_at": _iso(self.eases_at),
        }

    @property
    def _is_at_the_end(self) -> bool:
        """Of the ladder, where no strikes lead on. (From an address's last block they lead to another.)"""
        return self.is_suspended or self._above < COOLDOWN

    @property
    def _above(self) -> int:
        return min(max(self.escalation, WARNED) + 1, self.ladder.highest(self.subject))


def footing_of(
    subject: Subject, decision: Decision, trace: Trace, ladder: Ladder, events: Sequence[EscalationEvent]
) -> Footing:
    """As the limit store has just decided; `events` are the newest of the subject's, the newest first."""
    escalation = SUSPENDED if subject.is_suspended else decision.escalation
    return _explained(
        Footing(
            ladder=ladder,
            subject=subject.id,
            minute_limit=subject.limits.minute,
            now=decision.now,
            escalation=escalation,
            strikes=decision.strikes,
            until=0 if escalation == SUSPENDED else decision.escalation_until,
            trace=trace,
        ),
        events,
    )


def remembered_footing(
    subject: Subject, now: int, ladder: Ladder, events: Sequence[EscalationEvent]
) -> Footing:
    """As SQL remembers it, while the limit store can't be asked; one query."""
    state = EscalationState.objects.of_subject(subject.id).first() or EscalationState()
    until, trace = seconds(state.until), Trace(0, seconds(state.grace_until), seconds(state.clean_since))
    place = Place(escalation=state.escalation, until=until, clean_since=trace.clean_since)
    escalation = SUSPENDED if subject.is_suspended else place.shown(now, None, ladder)[0]
    return _explained(
        Footing(
            ladder=ladder,
            subject=subject.id,
            minute_limit=subject.limits.minute,
            now=now,
            escalation=escalation,
            strikes=None,
            until=until,
            trace=trace,
            is_known=escalation >= COOLDOWN,
        ),
        events,
    )


def _explained(footing: Footing, events: Sequence[EscalationEvent]) -> Footing:
    """With the change that led there, if it is in SQL already and not another one."""
    if footing.escalation < COOLDOWN:
        return footing
    event = next((event for event in events if event.cause != EscalationEvent.Cause.DECAY), None)
    if event is None or event.after < footing.escalation:
        return footing
    if footing.blocked_until is not None and event.until != footing.blocked_until:
        return footing
    if event.cause == EscalationEvent.Cause.STRIKES:
        why = Reason(why_it_struck(event), event.minute or event.at)
    else:
        what = "Reactivated" if event.cause == EscalationEvent.Cause.REACTIVATED else "Suspended"
        why = Reason(f"{what} by staff: {event.reason}", event.at)
    return replace(footing, came_by=event, why=why)


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
