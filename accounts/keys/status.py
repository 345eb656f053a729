"""A key's one status: of all that is true of it, what its owner must know first."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from accounts.keys.facts import KeyFacts
from accounts.models import ApiKey

SOON = timedelta(days=7)  # the email that tells of it goes out then, too


@dataclass(frozen=True, slots=True)
class Status:
    """`name` tells pages which icon to draw, `words` is what they say, and `sentence` what follows from it.

    `until` is a time that belongs to it, and `then` what happens at it. `level` is `ok`, `near`, `full` or
    `unknown`.
    """

    name: str
    words: str
    level: str
    sentence: str
    until: datetime | None = None
    then: str = ""


def status_of(key: ApiKey, facts: KeyFacts | None, rotating_until: datetime | None, now: datetime) -> Status:
    """What comes first: revoked, suspended, expired, blocked, expiring soon, rotating, active.

    Without `facts` nobody knows just now whether it is blocked. `rotating_until` is when the last of its old
    secrets retires.
    """
    if key.status == ApiKey.Status.REVOKED:
        return Status("revoked", "Revoked", "unknown", "It is refused, for good, and can't be changed.")
    if key.status == ApiKey.Status.SUSPENDED:
        return Status(
            "suspended",
            "Suspended",
            "full",
            "Its requests are refused until a person reactivates it.",
        )
    if key.expires_at is not None and key.expires_at <= now:
        return Status(
            "expired",
            "Expired",
            "near",
            "Its requests are refused. Give it a later end, and it works again.",
        )
    if facts is None and not key.is_rehearsal:  # which is never blocked
        return Status(
            "unknown",
            "Unknown",
            "unknown",
            "The limit store can't be asked just now, so nobody knows whether it is blocked.",
        )
    if facts is not None and facts.blocked_until is not None and facts.blocked_until > now:
        return Status(
            "blocked",
            "Blocked",
            "full",
            "Its requests are refused. Its usage page says why.",
            facts.blocked_until,
            "Served again",
        )
    if key.expires_at is not None and key.expires_at <= now + SOON:
        return Status(
            "expiring", "Expires soon", "near", "Then its requests are refused.", key.expires_at, "Ends"
        )
    if rotating_until is not None and rotating_until > now:
        return Status(
            "rotating",
            "Rotating",
            "ok",
            "Old and new secret both work, and share one quota.",
            rotating_until,
            "Over",
        )
    sentence = "Its requests are served, within its limits."
    if key.is_rehearsal:
        sentence = "It rehearses: what it asks for is acted, and nothing is converted or counted."
    return Status("active", "Active", "ok", sentence)
