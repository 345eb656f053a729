"""What was done to a key, from the audit log, in words for its owner."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import dateformat
from django.utils.dateparse import parse_datetime

from accounts.models import ApiKey, AuditEntry, User

SHOWN = 20

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    at: datetime
    what: str
    who: str
    detail: str = ""


def trail_of(key: ApiKey, viewer: User) -> list[Step]:
    """The newest actions on the key, the newest first; one query.

    Who else did something is "staff": their names, and what they wrote for each other, are not the owner's
    to read.
    """
    entries = AuditEntry.objects.filter(target_type=key._meta.label_lower, target_id=str(key.pk))
    return [
        Step(
            at=entry.at,
            what=entry.action.capitalize(),
            who="you" if entry.actor_id == viewer.pk else "staff",
            detail=_DETAILS.get(entry.action, _nothing)(entry.before, entry.after),
        )
        for entry in entries[:SHOWN]
    ]


def _nothing(before: Facts, after: Facts) -> str:
    return ""


def _renamed(before: Facts, after: Facts) -> str:
    return f"From “{before.get('name', '')}” to “{after.get('name', '')}”"


def _rotated(before: Facts, after: Facts) -> str:
    return f"{after.get('start', '')}… follows {before.get('start', '')}…"


def _stopped(before: Facts, after: Facts) -> str:
    return ", ".join(f"{start}…" for start in after.get("retires_at", {}))


def _expiry(before: Facts, after: Facts) -> str:
    return f"From {_moment(before.get('expires_at'))} to {_moment(after.get('expires_at'))}"


def _networks(before: Facts, after: Facts) -> str:
    old, new = before.get("allowed_networks", []), after.get("allowed_networks", [])
    if not new:
        return "From anywhere"
    parts = {
        "Added": [network for network in new if network not in old],
        "Removed": [network for network in old if network not in new],
    }
    return "; ".join(f"{word} {', '.join(networks)}" for word, networks in parts.items() if networks)


def _moment(text: str | None) -> str:
    at = parse_datetime(text) if text else None
    return "never" if at is None else dateformat.format(at, "j M Y H:i") + " UTC"


_DETAILS: dict[str, Callable[[Facts, Facts], str]] = {
    "renamed": _renamed,
    "rotated": _rotated,
    "ended overlap": _stopped,
    "changed expiry": _expiry,
    "changed allow-list": _networks,
}
