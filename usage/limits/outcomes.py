"""What becomes of a charged request, in the names under which the limit store counts it in its minute."""

ADMITTED = "admitted"
COOLDOWN, BLOCKED, SUSPENDED = "cooldown", "blocked", "suspended"  # refused by the ladder
UNAVAILABLE = "unavailable"  # refused because the limit store, or the database, was down
ELSEWHERE = "ip_not_allowed"  # refused because it came from an address that the key's allow-list hasn't
QUEUED, SATURATED = "queued", "saturated"  # refused because the account's queue, or the pool's, was full
FAILED = "failed"  # admitted as well, and answered with an error

# What refuses requests, and the column of the books that counts it.
HITS = {
    "minute": "minute_hits",
    "day": "day_hits",
    "concurrent": "concurrent_hits",
    COOLDOWN: "blocked_hits",
    BLOCKED: "blocked_hits",
    SUSPENDED: "blocked_hits",
    UNAVAILABLE: "other_hits",
    ELSEWHERE: "other_hits",
    QUEUED: "other_hits",
    SATURATED: "other_hits",
}

# Of these, what the ladder refuses, whatever the limits have left.
BY_THE_LADDER = (COOLDOWN, BLOCKED, SUSPENDED)

# For so long after a minute's end web processes still bring the hits that they refused themselves.
SETTLING_SECONDS = 5


def column_of(outcome: str) -> str:
    """The column of `usage.models.usage.Usage` for an outcome.

    What isn't known here counts among the other hits: an endpoint limit's name is an outcome, too.
    """
    return outcome if outcome in (ADMITTED, FAILED) else HITS.get(outcome, "other_hits")
