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
    """An admitted request in the middle of a minute and a day, with every limit given."""
    minute, day, concurrent, _, _ = limits
    assert minute is not None and day is not None and concurrent is not None  # noqa: S101, PT018
    now += MINUTE_SECONDS // 2 - now % MINUTE_SECONDS
    return Decision(
        verdict=Verdict.ADMITTED,
        limits=limits,
        now=now,
        minute_count=min(3, minute),
        day_count=min(188, day),
        in_flight=min(1, concurrent),
    )


def explained(decision: Decision) -> list[Header]:
    """The headers that every answer carries."""
    sent = headers.of_decision(decision)
    limits, reset = decision.limits, int(sent["X-RateLimit-Reset"])
    left = min(decision.minute_left or 0, decision.day_left or 0)
    readings = {
        "X-RateLimit-Limit": f"{limits.minute:,} requests a minute are allowed.",
        "X-RateLimit-Remaining": f"{left:,} more would be admitted before the reset: never more than the day "
        "leaves, and 0 while blocked.",
        "X-RateLimit-Reset": f"At this Unix time, {time_of(reset):%Y-%m-%d %H:%M:%S} UTC, more is available: "
        "at the end of the minute; of the day, once the day is spent; of the block, while blocked.",
        "RateLimit-Policy": "The limits in force. `q` is how many, `w` in how many seconds: "
        f"{limits.minute:,} in a minute, {limits.day:,} in a UTC day. Requests in flight have no window: "
        f"{limits.concurrent:,} at the same time.",
        "RateLimit": "Where each stands. `r` is what is left, `t` in how many seconds all of it is back: "
        f"{decision.minute_left:,} more in this minute, which has "
        f"{decision.minute_end - decision.now} s to go; "
        f"{decision.day_left:,} more today; {(limits.concurrent or 0) - decision.in_flight:,} more at once.",
    }
    return [Header(name, value, readings[name]) for name, value in sent.items()]


def as_sent(headers: list[Header]) -> str:
    return "\n".join(f"{header.name}: {header.value}" for header in headers)
