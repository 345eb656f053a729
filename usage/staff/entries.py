"""Entries of the audit log as a subject's page tells them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from accounts.models import AuditEntry


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that an action changed. `before` is `None` where there was nothing before."""

    name: str
    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class Told:
    entry: AuditEntry
    changes: list[Change]


def told(entries: Iterable[AuditEntry]) -> list[Told]:
    return [Told(entry, _changes(entry)) for entry in entries]


def _changes(entry: AuditEntry) -> list[Change]:
    return [
        Change(
            name.replace("_", " ").capitalize(),
            _shown(entry.before[name]) if name in entry.before else None,
            _shown(entry.after[name]) if name in entry.after else "gone",
        )
        for name in {**entry.before, **entry.after}
    ]


def _shown(value: Any) -> str:
    match value:
        case None | "" | [] | {}:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case list():
            return ", ".join(map(str, value))
        case dict():
            return ", ".join(f"{name} {_shown(one)}" for name, one in value.items())
    return str(value)
