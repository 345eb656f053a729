"""How sample keys came up the ladder, and down again: bad minutes, blocks, what was refused meanwhile."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from accounts.models import ApiKey, User
from koalapanel.demo.books import Books, Caller
from usage.escalation.ladder import COOLDOWN, DAY_BLOCK, SUSPENDED, Ladder
from usage.models import EscalationEvent, EscalationState, Notice
from usage.spans import MINUTE
from usage.subjects import bucket_of, key_subject_id

_MAILED = timedelta(seconds=4)  # after it happened
_REST = 30 * MINUTE  # between the end of a block and the next bad minute
_BLOCKED = 25 * MINUTE  # so long a client goes on asking although it is blocked


@dataclass(slots=True)
class Climb:
    """One key's way on the ladder: each step is noted, then all of them are written at once."""

    books: Books
    ladder: Ladder
    key: ApiKey
    caller: Caller
    chance: random.Random
    events: list[EscalationEvent]
    notices: list[Notice]
    at: datetime
    began: datetime | None = None
    tier: int = 0
    until: datetime | None = None

    @property
    def subject(self) -> str:
        return key_subject_id(self.key.pk)

    def up_to(self, tier: int) -> "Climb":
        """Bad minutes enough for each tier up to this one, each after the last block's end."""
        self.began = self.began or self.at
        for next_tier in range(max(COOLDOWN, self.tier + 1), tier + 1):
            self._climb(next_tier)
        return self

    def _climb(self, tier: int) -> None:
        step, limit = self.ladder.steps[tier], self.key.limits.minute or 0
        for number in range(step.strikes):
            minute = self.at + number * MINUTE
            refused = self.chance.randint(limit, 9 * limit)
            told = (self.chance.randint(20, 50), self.chance.randint(120, 480))
            self.books.admit(self.subject, minute, limit)
            self.books.refuse(self.subject, minute, "minute", refused, self.caller, told=told)
        at = minute + MINUTE + timedelta(seconds=self.chance.randint(0, 3))
        self.until = None if tier == SUSPENDED else at + timedelta(seconds=step.seconds)
        event = self._event(
            EscalationEvent.Cause.STRIKES,
            at,
            tier,
            until=self.until,
            strikes=step.strikes,
            minute=minute,
            served=limit,
            refused=refused,
            minute_limit=limit,
            route="convert",
        )
        kind = {COOLDOWN: "cooldown", SUSPENDED: "suspended"}.get(tier, "blocked")
        self._knock(kind, minute + 2 * MINUTE, min(at + _BLOCKED, self.until or at + _BLOCKED))
        facts: dict[str, object] = {"served": limit, "refused": refused, "minute_limit": limit}
        if tier == DAY_BLOCK and self.until is not None:
            facts |= {"until": self.until.isoformat(), "strikes": step.strikes}
            self._mail(Notice.Kind.DAY_BLOCK, event, facts)
        elif tier == SUSPENDED:
            self._mail(Notice.Kind.SUSPENSION, event, facts | {"by_staff": False, "reason": ""})
        self.at = (self.until or at).replace(second=0) + _REST

    def _knock(self, kind: str, first: datetime, end: datetime) -> None:
        """It goes on asking for a while, all in vain."""
        while first < end - MINUTE:
            self.books.refuse(self.subject, first, kind, self.chance.randint(20, 120), self.caller)
            first += MINUTE * self.chance.randint(1, 4)

    def ease(self) -> "Climb":
        """After a block, a tier for each clean day."""
        at = self.until or self.at
        while self.tier:
            at += timedelta(seconds=self.ladder.decay_seconds)
            after = self.tier - 1 if self.tier > COOLDOWN else 0
            self._event(EscalationEvent.Cause.DECAY, at, after)
        self.books.calm(self.subject, self.until or self.at, at)
        return self

    def reactivated(self, at: datetime, by: User, reason: str) -> "Climb":
        """Clean, by staff."""
        event = self._event(EscalationEvent.Cause.REACTIVATED, at, 0, by=by, reason=reason)
        facts = {"on_probation": False, "reason": reason, "grace_seconds": self.ladder.grace_seconds}
        self._mail(Notice.Kind.REACTIVATION, event, facts | {"escalation": 0})
        self.until = at
        return self

    def ended(self) -> EscalationState:
        """Where it stands since, for the limit store to be built from; habits leave all of it out."""
        last = self.events[-1]
        end = self.books.present if self.tier == SUSPENDED else self.until or self.at
        self.books.take(self.subject, (self.began or self.at) - 15 * MINUTE, end)
        return EscalationState(
            subject=self.subject,
            bucket=bucket_of(self.subject),
            key=self.key,
            escalation=self.tier,
            clean_since=last.at,
            version=int(last.at.timestamp()),
            changed_at=last.at,
        )

    def _event(
        self, cause: EscalationEvent.Cause, at: datetime, after: int, **fields: object
    ) -> EscalationEvent:
        event = EscalationEvent(
            event_id=f"demo:{self.subject}:{len(self.events)}",
            subject=self.subject,
            key=self.key,
            at=at,
            cause=cause,
            before=self.tier or (1 if cause == EscalationEvent.Cause.STRIKES else 0),
            after=after,
            **fields,
        )
        self.events.append(event)
        self.tier = after
        return event

    def _mail(self, kind: Notice.Kind, event: EscalationEvent, facts: dict[str, object]) -> None:
        self.notices.append(
            Notice(
                once=f"{kind}:{event.event_id}",
                kind=kind,
                key=self.key,
                facts=facts,
                created_at=event.at,
                due_at=event.at,
                attempts=1,
                sent_at=event.at + _MAILED,
            )
        )
