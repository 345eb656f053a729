"""The rate-limit headers as an answer has them, each with how to read it."""

from dataclasses import dataclass

from accounts.tiers import Limits
from usage.limits import headers
from usage.limits.decision import Decision
from usage.limits.kinds import Verdict
from usage.spans import MINUTE_SECONDS, time_of


@dataclass(frozen=True, slots=True)
class Header:
    name: str
    value: str
    reading: str


def example(limits: Limits, now: int) -> Decision:
    """An admitted request in the middle of a minute. Of these limits each has a number."""
    minute, day, concurrent = _numbers(limits)
    return Decision(
        verdict=Verdict.ADMITTED,
        limits=limits,
        now=now + MINUTE_SECONDS // 2 - now % MINUTE_SECONDS,
        minute_count=min(3, minute),
        day_count=min(188, day),
        in_flight=min(1, concurrent),
    )


def explained(decision: Decision) -> list[Header]:
    """The headers that every answer carries."""
    sent = headers.of_decision(decision)
    minute, day, concurrent = _numbers(decision.limits)
    reset = time_of(int(sent["X-RateLimit-Reset"]))
    readings = {
        "X-RateLimit-Limit": f"{minute:,} requests a minute are allowed.",
        "X-RateLimit-Remaining": f"{int(sent['X-RateLimit-Remaining']):,} more would be admitted before the "
        "reset: never more than the day leaves, and 0 while blocked.",
        "X-RateLimit-Reset": f"At this Unix time, {reset:%Y-%m-%d %H:%M:%S} UTC, more is available: "
        "at the end of the minute; of the day, once the day is spent; of the block, while blocked.",
        "RateLimit-Policy": "The limits in force. `q` is how many, `w` in how many seconds: "
        f"{minute:,} in a minute, {day:,} in a UTC day. Requests in flight have no window: {concurrent:,} at "
        "the same time.",
        "RateLimit": "Where each stands. `r` is what is left, `t` in how many seconds all of it is back: "
        f"{minute - decision.minute_count:,} more in this minute, which has "
        f"{decision.minute_end - decision.now} s to go; {day - decision.day_count:,} more today; "
        f"{concurrent - decision.in_flight:,} more at once.",
    }
    return [Header(name, value, readings[name]) for name, value in sent.items()]


def as_sent(headers: list[Header]) -> str:
    return "\n".join(f"{header.name}: {header.value}" for header in headers)


def _numbers(limits: Limits) -> tuple[int, int, int]:
    """Minute, day and concurrent."""
    return limits.minute or 0, limits.day or 0, limits.concurrent or 0
