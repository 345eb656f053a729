"""The limit kinds the limiter enforces, and the names its verdicts have in books, bodies and headers."""

from enum import IntEnum, StrEnum


class Kind(StrEnum):
    """A limit on requests. Jobs have two of their own (parallel, queued), enforced where jobs are kept."""

    MINUTE = "minute"
    DAY = "day"
    CONCURRENT = "concurrent"


class Verdict(IntEnum):
    """`decide.lua`'s answer; the numbers are the script's."""

    ADMITTED = 0
    MINUTE_FULL = 1
    DAY_FULL = 2
    CONCURRENT_FULL = 3
    BLOCKED = 4  # by the ladder, for a time
    SUSPENDED = 5  # by the ladder, until a person reactivates the key
    EMPTY = 8  # the store has lost the subject's bucket: build it from SQL and ask again
    STALE = 9  # the caller's limits are older than the subject's: reload them and ask again


REFUSED_BY = {
    Verdict.MINUTE_FULL: Kind.MINUTE,
    Verdict.DAY_FULL: Kind.DAY,
    Verdict.CONCURRENT_FULL: Kind.CONCURRENT,
}
