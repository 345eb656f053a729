"""What a replay tells, in words: for the pages, which show nothing that isn't here."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast

from django.utils import timezone

from accounts.models import Tier
from accounts.tiers import LIMIT_KINDS
from usage.escalation.ladder import COOLDOWN, SUSPENDED, Ladder
from usage.escalation.policy import read_ladder
from usage.models import EscalationPolicy, Replay
from usage.replay.numbers import REPLAYED, Numbers, ladder_of
from usage.replay.result import Changed, Estimate, Fate, Reason, Result, Totals

CLEAR = "Clear"
_A_LIMIT = {"minute": "a minute", "day": "a day"}
_OF_A_STEP = {"strikes": "strikes that lead to it", "block_seconds": "seconds of its block"}
# Why a number is an estimate, and of what it tells how many: of subjects or of requests.
_ESTIMATES: dict[Reason, tuple[str, bool]] = {
    "clients": (
        "Who is refused may wait, stop or ask more often, and nobody knows which: these are the requests that"
        " came from whoever would be answered differently",
        True,
    ),
    "blocks": (
        "The books know a request's minute, not its second, so blocks begin and end on whole minutes; and a"
        " suspension lasts to the end, because nobody reactivates in a replay",
        True,
    ),
    "demand": (
        "Clients ask less while they are blocked than they would have otherwise, and some were blocked when"
        " they asked",
        False,
    ),
    "concurrent": (
        "What was refused because too many were in flight is left out, though other limits might have let"
        " some of it get further",
        False,
    ),
    "elsewhere": (
        "What was refused for other reasons, such as a full queue or an allow-list, is left out",
        False,
    ),
    "start": (
        "Some stood on the ladder before the first day. They start where their last change had left them;"
        " since when they were clean is not known exactly",
        True,
    ),
    "strikes": (
        "Some met a limit in the hour before the first day. Strikes from then are not known, and left out",
        True,
    ),
}


@dataclass(frozen=True, slots=True)
class DayInWords:
    """A day's refused requests, and how long its bars are in percent of the longest."""

    date: date
    requests: int
    current: int
    proposed: int
    current_percent: int
    proposed_percent: int


@dataclass(frozen=True, slots=True)
class SubjectInWords:
    """What the proposal changes for one subject. `id` is the subject's, for links."""

    id: str
    name: str
    start: str
    owner: str
    is_worse: bool
    current: Fate
    proposed: Fate
    current_step: str
    proposed_step: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Told:
    """`level` is of the colours that the panel has for how things stand: ok, near, full."""

    level: str
    headline: str
    beside: str
    first: datetime | None
    last: datetime | None
    subjects: str
    exactness: str
    is_exact: bool
    estimates: list[str]
    days: list[DayInWords]
    changed: list[SubjectInWords]
    changed_total: int
    not_replayed: bool
    now: datetime


def tell(replay: Replay) -> Told:
    """In words; of a replay that is done."""
    result = cast(Result, replay.result)
    ladders = _ladders(replay)
    one, many = _nouns(replay)
    return Told(
        level=_level(result),
        headline=headline(replay),
        beside=_beside(result),
        first=_time(result["first"]),
        last=_time(result["last"]),
        subjects=_number(result["subjects"], one, many),
        exactness=_exactness(result),
        is_exact=result["exact_as_recorded"],
        estimates=[_estimate(estimate, one, many) for estimate in result["estimates"]],
        days=list(_days(result)),
        changed=[_subject(changed, ladders) for changed in result["changed"]],
        changed_total=result["changed_total"],
        not_replayed=replay.about == Replay.Subject.TIER
        and any(
            replay.current.get(kind) != number
            for kind, number in replay.proposed.items()
            if kind not in REPLAYED
        ),
        now=timezone.now(),
    )


def headline(replay: Replay) -> str:
    """`With 20 a minute, 12 of 240 keys would have been limited, 3 escalated.`"""
    result = cast(Result, replay.result)
    one, many = _nouns(replay)
    if result["first"] is None or not result["subjects"]:
        return f"No request of {many} is recorded in the last days, so there is nothing to replay."
    proposed, subjects = result["proposed"], _number(result["subjects"], one, many)
    said = f"With {_proposal(replay)}, {proposed['limited']:,} of {subjects} would have been limited"
    return f"{said}, {_escalated(proposed)}."


def _escalated(totals: Totals) -> str:
    """`3 escalated, 1 of them suspended`."""
    number, suspended = totals["escalated"], totals["suspended"]
    of_them = f", {suspended:,} of them suspended" if suspended else ""
    return f"{number:,} escalated{of_them}" if number else "none escalated"


def _beside(result: Result) -> str:
    if not result["subjects"]:
        return ""
    current = result["current"]
    limited = current["limited"]
    also = f"{limited:,} {'is' if limited == 1 else 'are'} limited, {_escalated(current)}"
    same = "" if result["changed_total"] else " Nobody would have noticed the change."
    return f"With what is in force, {also}.{same}"


def _proposal(replay: Replay) -> str:
    if replay.about == Replay.Subject.LADDER:
        return "this ladder"
    changed = [kind for kind in REPLAYED if replay.current.get(kind) != replay.proposed.get(kind)]
    parts = []
    for kind in changed or REPLAYED:
        number = replay.proposed.get(kind)
        parts.append(f"no limit by the {kind}" if number is None else f"{number:,} {_A_LIMIT[kind]}")
    return " and ".join(parts)


def differences(replay: Replay) -> list[str]:
    """Each number that is proposed: `requests per minute 30 → 20`."""
    if replay.about == Replay.Subject.TIER:
        names = {
            field.name: str(field.verbose_name)
            for field in Tier._meta.concrete_fields
            if field.name in LIMIT_KINDS
        }
        return list(_differing(names, replay.current, replay.proposed))
    names = {
        field.name: str(field.verbose_name)
        for field in EscalationPolicy._meta.concrete_fields
        if field.name in replay.current
    }
    found = list(_differing(names, replay.current, replay.proposed))
    for before, after in zip(replay.current["steps"], replay.proposed["steps"], strict=False):
        of_step = {field: f"{after['name']}: {name}" for field, name in _OF_A_STEP.items()}
        found += _differing(of_step, before, after)
    return found


def _differing(names: dict[str, str], before: Numbers, after: Numbers) -> Iterator[str]:
    for field, name in names.items():
        if before.get(field) != after.get(field):
            yield f"{name} {_shown(before.get(field))} → {_shown(after.get(field))}"


def _shown(number: int | None) -> str:
    return "no limit" if number is None else f"{number:,}"


def _level(result: Result) -> str:
    if not result["worse_total"]:
        return "ok"
    return "full" if result["proposed"]["suspended"] > result["current"]["suspended"] else "near"


def _exactness(result: Result) -> str:
    if result["exact"]:
        return "Exact"
    return "Exact for the requests that came" if result["exact_as_recorded"] else "An estimate"


def _estimate(estimate: Estimate, one: str, many: str) -> str:
    sentence, is_of_subjects = _ESTIMATES[estimate["reason"]]
    nouns = (one, many) if is_of_subjects else ("request", "requests")
    return f"{sentence} ({_number(estimate['number'], *nouns)})."


def _days(result: Result) -> Iterator[DayInWords]:
    longest = max((max(day["current"], day["proposed"]) for day in result["days"]), default=0) or 1
    for day in result["days"]:
        yield DayInWords(
            date.fromisoformat(day["date"]),
            *(day["requests"], day["current"], day["proposed"]),
            *(-(-day["current"] * 100 // longest), -(-day["proposed"] * 100 // longest)),
        )


def _subject(changed: Changed, ladders: tuple[Ladder, Ladder]) -> SubjectInWords:
    current, proposed = changed["current"], changed["proposed"]
    tiers = proposed["highest"] - current["highest"]
    worse = (tiers, proposed["refused"] - current["refused"]) > (0, 0)
    reached = proposed if proposed["highest"] >= COOLDOWN else current
    return SubjectInWords(
        id=changed["subject"],
        name=changed["name"] or changed["network"] or changed["subject"],
        start=changed["start"],
        owner=changed["owner"],
        is_worse=worse,
        current=current,
        proposed=proposed,
        current_step=_step(current["highest"], ladders[0]),
        proposed_step=_step(proposed["highest"], ladders[1]),
        at=_time(reached["highest_at"]) if reached["highest"] >= COOLDOWN else None,
    )


def _step(number: int, ladder: Ladder) -> str:
    return ladder.steps[min(number, SUSPENDED)].name if number else CLEAR


def _ladders(replay: Replay) -> tuple[Ladder, Ladder]:
    if replay.about == Replay.Subject.LADDER:
        return ladder_of(replay.current), ladder_of(replay.proposed)
    ladder = read_ladder()
    return ladder, ladder


def _nouns(replay: Replay) -> tuple[str, str]:
    if replay.about == Replay.Subject.LADDER:
        return "key or address", "keys and addresses"
    return ("address", "addresses") if replay.slug == Tier.ANONYMOUS else ("key", "keys")


def _number(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _time(text: Any) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
