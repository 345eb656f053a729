"""One block or suspension, as its page tells it: what happened, how it ended, what comes next."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import redis
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import ApiKey, User
from usage.escalation.history import why_it_struck
from usage.escalation.ladder import DAY_BLOCK, SUSPENDED, WARNED, Ladder
from usage.escalation.words import span
from usage.limits.store import limit_store
from usage.models import EscalationEvent
from usage.spans import HOUR_SECONDS, time_of

Cause = EscalationEvent.Cause
BLOCKS = (Cause.STRIKES, Cause.SUSPENDED)


class State(StrEnum):
    """Whether it still holds; `lifted` is by staff, before its end; `overtaken` by a suspension."""

    RUNNING = "running"
    OVER = "over"
    LIFTED = "lifted"
    OVERTAKEN = "overtaken"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Block:
    """`previous` and `following` are the changes of the key's place before and after, but by clean time."""

    event: EscalationEvent
    key: ApiKey
    previous: EscalationEvent | None
    following: EscalationEvent | None
    ladder: Ladder
    now: datetime

    @property
    def is_suspension(self) -> bool:
        return self.event.after == SUSPENDED

    @property
    def is_by_staff(self) -> bool:
        return self.event.cause == Cause.SUSPENDED

    @property
    def name(self) -> str:
        return self.ladder.steps[self.event.after].name

    @property
    def name_before(self) -> str:
        return self.ladder.steps[self.event.before].name

    @property
    def ended_by(self) -> EscalationEvent | None:
        """What staff did before its own end."""
        after = self.following
        if after is None or after.cause == Cause.STRIKES:
            return None
        return after if self.event.until is None or after.at < self.event.until else None

    @property
    def state(self) -> State:
        if self.ended_by is not None:
            return State.LIFTED if self.ended_by.cause == Cause.REACTIVATED else State.OVERTAKEN
        if self.key.status == ApiKey.Status.REVOKED:
            return State.REVOKED
        if self.is_suspension:
            return State.RUNNING if self.key.status == ApiKey.Status.SUSPENDED else State.OVER
        return State.RUNNING if self.event.until and self.event.until > self.now else State.OVER

    @property
    def is_running(self) -> bool:
        return self.state is State.RUNNING

    @property
    def end(self) -> datetime:
        """When it ended, will, or (a suspension that lasts) the present."""
        if self.ended_by is not None:
            return self.ended_by.at
        return self.event.until or self.now

    @property
    def level(self) -> str:
        """As of a quota: what the strip's colour is."""
        if not self.is_running:
            return "ok" if self.state is not State.REVOKED else "unknown"
        return "near" if self.event.after < DAY_BLOCK - 1 else "full"

    @property
    def how_long(self) -> str:
        if self.event.until is None:
            return ""
        return span(round((self.event.until - self.event.at).total_seconds()))

    @property
    def why(self) -> str:
        """In a sentence, as the usage page and the email tell it."""
        return self.event.reason if self.is_by_staff else why_it_struck(self.event)

    @property
    def may_ask(self) -> bool:
        return self.is_suspension and self.is_running

    @property
    def what_next(self) -> list[str]:
        """The ladder from here on, by its numbers as they are now."""
        if self.is_suspension:
            return self._after_suspension()
        return [*self._after_block(), self._next_step()]

    def _after_suspension(self) -> list[str]:
        if not self.is_running:
            return []
        remembered = self.ladder.on_probation(SUSPENDED)
        return [
            "It doesn't end by itself: tell staff what you have changed, and a person decides.",
            "They answer by email, and on this page.",
            f"Mostly a key comes back on probation: tier {remembered} "
            f"({self.ladder.steps[remembered].name}) is remembered, and {self._strikes_above(remembered)}.",
            f"In its first {self.ladder.grace_seconds} s nothing strikes.",
        ]

    def _after_block(self) -> list[str]:
        hours = self.ladder.decay_seconds // HOUR_SECONDS
        clean = f"{hours} hour{'' if hours == 1 else 's'}"
        words = []
        if self.is_running:
            words = [
                "Requests are served again at its end. Those refused until then change nothing: they are no "
                "strikes, and make it no longer.",
                f"In the first {self.ladder.grace_seconds} s after it nothing strikes.",
            ]
        stays = "stays" if self.is_running else "stayed"
        return [
            *words,
            f"The tier {stays} after its end, and drops by one for every {clean} without a refusal.",
        ]

    def _next_step(self) -> str:
        sentence = self._strikes_above(self.event.after)
        return f"{sentence[0].upper()}{sentence[1:]}."

    def _strikes_above(self, escalation: int) -> str:
        above = self.ladder.steps[max(escalation, WARNED) + 1]
        strikes = f"{above.strikes} strike{'' if above.strikes == 1 else 's'}"
        lead = "leads" if above.strikes == 1 else "lead"
        if above is self.ladder.steps[SUSPENDED]:
            return f"{strikes} from there {lead} to a {above.name}, until a person reactivates the key"
        article = "an" if above.name[:1].lower() in "aeiou" else "a"
        return f"{strikes} from there {lead} to {article} {above.name} of {span(above.seconds)}"


def blocks_of(owner: User) -> QuerySet[EscalationEvent]:
    """The blocks and suspensions of the account's own keys."""
    return EscalationEvent.objects.filter(key__owner=owner, cause__in=BLOCKS)


def block_of(event: EscalationEvent, key: ApiKey, ladder: Ladder, now: datetime) -> Block:
    """Two queries."""
    others = EscalationEvent.objects.of_subject(event.subject).exclude(cause=Cause.DECAY)
    earlier = others.filter(Q(at__lt=event.at) | Q(at=event.at, pk__lt=event.pk)).order_by("-at", "-pk")
    later = others.filter(Q(at__gt=event.at) | Q(at=event.at, pk__gt=event.pk)).order_by("at", "pk")
    return Block(event, key, earlier.first(), later.first(), ladder, now)


def current_suspension_of(key: ApiKey) -> EscalationEvent | None:
    """The change that suspended the key, if it is and that is still in the history."""
    if key.status != ApiKey.Status.SUSPENDED:
        return None
    changes = EscalationEvent.objects.filter(key=key).exclude(cause=Cause.DECAY)
    newest = changes.order_by("-at", "-pk").first()
    return newest if newest is not None and newest.after == SUSPENDED else None


def present() -> datetime:
    """On the limit store's clock, by which blocks end; on our own while it can't be asked."""
    try:
        return time_of(limit_store().now())
    except redis.RedisError:
        return timezone.now()
