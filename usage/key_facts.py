"""What the pages about keys show of their limits: see `accounts.keys.facts`."""

from collections.abc import Mapping, Sequence

import redis

from accounts.keys import facts
from accounts.keys.facts import KeyFacts
from accounts.models import ApiKey
from usage import subjects
from usage.escalation.ladder import SUSPENDED, Ladder
from usage.escalation.policy import read_ladder
from usage.limits.decision import Decision
from usage.limits.health import is_store_down
from usage.limits.link import LimitStoreDown
from usage.limits.store import limit_store
from usage.spans import time_of
from usage.subjects import Subject, key_subject_id


def register() -> None:
    facts.register(facts_of)


def facts_of(keys: Sequence[ApiKey]) -> Mapping[int, KeyFacts]:
    """Of keys that were read with their tier, by primary key: from the counters that enforce.

    One round trip to the limit store, and as many queries as the ladder takes to read. While the store is
    away it is nothing.
    """
    facts = facts_of_subjects([subjects.of_limits(key) for key in keys])
    return {key.pk: facts[subject] for key in keys if (subject := key_subject_id(key.pk)) in facts}


def facts_of_subjects(asked: Sequence[Subject]) -> Mapping[str, KeyFacts]:
    """The same of any subjects, by their ids."""
    if not asked or is_store_down():  # known without a wait; the client would try again and again
        return {}
    ladder = read_ladder()
    try:
        decisions = limit_store().look_at(asked, ladder)
    except (LimitStoreDown, redis.RedisError):
        return {}
    return {one.id: _facts(decision, ladder) for one, decision in zip(asked, decisions, strict=True)}


def _facts(decision: Decision, ladder: Ladder) -> KeyFacts:
    is_blocked = decision.is_blocked and decision.escalation < SUSPENDED
    return KeyFacts(
        standing=ladder.steps[decision.escalation].name,
        blocked_until=time_of(decision.escalation_until) if is_blocked else None,
        used_today=decision.day_count,
        day_limit=decision.limits.day,
    )
