"""What a client did wrong, in sentences: from the numbers of its minutes, and how soon it came back."""

from dataclasses import dataclass
from datetime import datetime

from usage.blocks.reconstruction import Part, Reconstruction, Refused, StruckMinute
from usage.escalation.words import span

# What comes so soon after a refusal was under way before that one arrived: from another thread.
AT_THE_SAME_TIME = 20  # milliseconds
_WHEN_TO_STOP = {
    "block": "A client that stops until the time it is told saves itself the trouble.",
    "suspension": "A client that stops once it is answered 403 saves itself the trouble.",
}


@dataclass(frozen=True, slots=True)
class Wrong:
    """`what` it did, and what to do instead; when, where that was at one time."""

    what: str
    instead: str
    at: datetime | None = None


def wrongs_of(found: Reconstruction, refused: Refused | None, kind: str = "block") -> list[Wrong]:
    """The worst first; `refused` is what met the block, `kind` what it is called ("block", "suspension")."""
    wrongs = []
    if worst := _worst(found.minutes):
        wrongs.append(_too_many(worst))
    if any(minute.is_over_the_day for minute in found.minutes):
        wrongs.append(
            Wrong(
                "It went on after the day's requests were used up.",
                "They are back at midnight UTC, which Retry-After counts down to: stop until then.",
            )
        )
    hasty = [part for part in found.parts if part.waited_ms is not None]
    if refused is not None and refused.hastiest is not None:
        hasty.append(refused.hastiest)
    if hasty:
        wrongs.append(_hasty(min(hasty, key=lambda part: part.waited_ms or 0)))
    if refused is not None and refused.number > 1:
        requests = f"{refused.number:,} requests were refused"
        wrongs.append(
            Wrong(
                f"It kept asking during the {kind}: {requests}, which changed nothing.",
                _WHEN_TO_STOP.get(kind, ""),
            )
        )
    return wrongs


def _worst(minutes: list[StruckMinute]) -> StruckMinute | None:
    over = [one for one in minutes if not one.is_over_the_day and one.refused]
    return max(over, key=lambda one: (one.asked or 0, one.refused), default=None)


def _too_many(minute: StruckMinute) -> Wrong:
    limit = "" if minute.limit is None else f", limit {minute.limit:,}"
    if minute.asked is None:
        what = f"{minute.refused:,} requests over the limit in one minute{limit}."
    else:
        what = f"{minute.asked:,} requests in one minute{limit}."
    return Wrong(what, "Spread them, or stop at the first refusal and wait as it says.", minute.at)


def _hasty(part: Part) -> Wrong:
    waited, told = part.waited_ms or 0, part.told_seconds or 0
    if waited < AT_THE_SAME_TIME:
        return Wrong(
            f"Requests came within {AT_THE_SAME_TIME} ms of a refusal with a Retry-After of {told:,} s: they "
            "were sent at the same time, by several threads or machines.",
            "Let all that use the key know of a refusal, and wait together.",
            part.at,
        )
    return Wrong(
        f"It retried {seconds(waited)} after a Retry-After of {told:,} s.",
        f"Read that header, and sleep for as many seconds ({_in_words(told)} here) before the next request.",
        part.at,
    )


def seconds(milliseconds: int) -> str:
    """`0.2 s`, `12 s`."""
    if milliseconds < 10_000:
        return f"{max(0.1, round(milliseconds / 1000, 1)):g} s"
    return f"{milliseconds // 1000:,} s"


def _in_words(told: int) -> str:
    return f"{told} s" if told < 120 else span(told)
