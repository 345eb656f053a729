"""The limit kinds, and the names that the limiter's verdicts have in books, bodies and headers."""

from enum import IntEnum, StrEnum


class Kind(StrEnum):
    """A limit on requests."""

    MINUTE = "minute"
    DAY = "day"
    CONCURRENT = "concurrent"


class JobKind(StrEnum):
    """A limit on jobs, enforced where jobs are kept; this app only shows it."""

    PARALLEL = "parallel"
    QUEUED = "queued"


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
