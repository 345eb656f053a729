"""The shape of a replay's result, as `usage.models.Replay.result` keeps it and the pages read it.

Everything is plain JSON. "Subjects" are keys, or for the anonymous tier networks; requests are charged ones.
Times are ISO 8601 in UTC. Both sides, `current` and `proposed`, are replayed by the same rules, so that they
differ by nothing but the numbers that were proposed; what was booked stands beside them in `recorded`.
"""

from typing import Literal, TypedDict

LISTED = 50  # subjects that are named, the worst first

# Why a number is an estimate; each has its sentence in `usage.replay.words`.
Reason = Literal["clients", "blocks", "demand", "concurrent", "elsewhere", "start", "strikes"]


class Totals(TypedDict):
    """What would have happened to all of the subjects together.

    `refused` is the sum of the three that follow it. `limited` counts the subjects that had a request
    refused, `escalated` those that the ladder led to tier 2 or higher, `suspended` those that it led to
    tier 5. `by_highest` counts subjects by the highest tier that they reached, "1" to "5".
    """

    refused: int
    minute_hits: int
    day_hits: int
    blocked_hits: int
    limited: int
    escalated: int
    suspended: int
    by_highest: dict[str, int]


class Recorded(TypedDict):
    """What the books have of these days: requests served, and refused by limits or by the ladder."""

    admitted: int
    limit_hits: int
    blocked_hits: int


class Fate(TypedDict):
    """What would have happened to one subject. `highest_at`: when it reached its highest tier, if any."""

    refused: int
    limited_minutes: int
    highest: int
    highest_at: str | None


class Changed(TypedDict):
    """A subject for which the proposal makes a difference: a key, or a network without any of the rest."""

    subject: str
    key: int | None  # its primary key
    name: str
    start: str
    owner: str  # the email
    network: str
    current: Fate
    proposed: Fate


class Day(TypedDict):
    """A UTC day; the last one goes as far as the result does."""

    date: str  # 2026-03-01
    requests: int
    current: int  # refused
    proposed: int  # refused


class Estimate(TypedDict):
    """A reason for which the numbers aren't exact, and of how many (subjects or requests) it is true."""

    reason: Reason
    number: int


class Result(TypedDict):
    """`first` to `last` are the days that were replayed, whole ones but for the last: `last` is the end of
    the newest minute in the books. Both are empty where nothing is recorded.

    `exact`: no reason for an estimate applies. `exact_as_recorded`: none but that clients would have behaved
    differently, so the numbers are exact for the requests that came.
    """

    first: str | None
    last: str | None
    subjects: int  # with any request in these days
    minutes: int  # recorded ones
    requests: int
    recorded: Recorded
    current: Totals
    proposed: Totals
    days: list[Day]
    changed: list[Changed]  # at most LISTED of …
    changed_total: int
    worse_total: int  # … these, of which so many fare worse
    exact: bool
    exact_as_recorded: bool
    estimates: list[Estimate]
    seconds: float  # that it took
