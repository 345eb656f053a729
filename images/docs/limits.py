"""The numbers in force, as staff have made them: read anew for each page, in a query for each table."""

from dataclasses import dataclass

from accounts.models import EndpointLimit, Tier
from accounts.tiers import Limits
from usage.endpoint_limits.hits import per
from usage.escalation.ladder import COOLDOWN, SUSPENDED, WARNED, Ladder
from usage.escalation.words import span, steps_in_words

# The contract's, for examples while the tier `free` has no limit to show one with.
_FREE = Limits(30, 1000, 5, 3, 200)


@dataclass(frozen=True, slots=True)
class EndpointRate:
    """How often one address may ask for something that is counted apart; `often` is empty without a limit."""

    name: str
    description: str
    often: str


@dataclass(frozen=True, slots=True)
class Rung:
    """A tier of the ladder: what happens on it, and what leads to it."""

    number: int
    name: str
    consequence: str
    reached: str


@dataclass(frozen=True, slots=True)
class LadderInWords:
    """The ladder's rules, each of them a number or a length of time in words.

    `guests_end` is the tier that an address never passes; `strikes` says for each tier's limit per minute how
    many refusals make a minute a strike.
    """

    rungs: list[Rung]
    strike_refusals: int
    strike_percent: int
    strikes: list[tuple[int, int]]
    forgive: str
    warned: str
    decay: str
    grace: str
    probation: Rung
    guests_end: Rung


def tiers() -> list[Tier]:
    return list(Tier.objects.all())


def example_limits() -> Limits:
    """Those of a new key, for examples; each of them has a number."""
    tier = Tier.objects.filter(slug=Tier.FREE).first()
    if tier is None:
        return _FREE
    return Limits(*(own or usual for own, usual in zip(tier.limits, _FREE, strict=True)))


def endpoint_rates() -> list[EndpointRate]:
    return [
        EndpointRate(limit.name, limit.description, "" if limit.rate is None else _often(*limit.rate))
        for limit in EndpointLimit.objects.all()
    ]


def ladder_in_words(ladder: Ladder, tiers: list[Tier]) -> LadderInWords:
    rungs = [
        Rung(step.number, step.name, step.consequence, _reached(ladder, step.number))
        for step in steps_in_words(ladder)
    ]
    minutes = sorted({tier.minute for tier in tiers if tier.minute is not None})
    return LadderInWords(
        rungs=rungs,
        strike_refusals=ladder.strike_refusals,
        strike_percent=ladder.strike_percent,
        strikes=[(minute, _refusals_for_a_strike(ladder, minute)) for minute in minutes],
        forgive=_clean(ladder.forgive_minutes * 60),
        warned=_clean(ladder.warned_minutes * 60),
        decay=_clean(ladder.decay_seconds),
        grace=span(ladder.grace_seconds) if ladder.grace_seconds else "",
        probation=rungs[ladder.probation],
        guests_end=rungs[ladder.guests_highest],
    )


def _often(requests: int, seconds: int) -> str:
    return f"{requests:,} {per(seconds)}"


def _clean(seconds: int) -> str:
    """`10 clean minutes`"""
    number, unit = span(seconds).split(" ")
    return f"{number} clean {unit}"


def _reached(ladder: Ladder, number: int) -> str:
    if number < WARNED:
        return "Where everybody begins."
    if number < COOLDOWN:
        return f"Any refusal by a minute or day limit; cleared after {_clean(ladder.warned_minutes * 60)}."
    strikes = ladder.steps[number].strikes
    more = "" if number == COOLDOWN else " more"
    ends = " Keys alone." if number == SUSPENDED or number > ladder.guests_highest else ""
    return f"{strikes}{more} strike{'' if strikes == 1 else 's'}.{ends}"


def _refusals_for_a_strike(ladder: Ladder, minute: int) -> int:
    return max(ladder.strike_refusals, -(-minute * ladder.strike_percent // 100))
