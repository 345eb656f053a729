"""Changes of what staff edit: each is one transaction that compares the edition, saves, and is written down.

What is changed together is one `Changeable`, by a row whose revision is the edition of all of it. Whoever
changes it says which edition they looked at; if another was saved since, nothing is done and `Stale` is
raised. The entry of a change in the audit log has the edition that it left, so the change can be taken back
for as long as that is the newest.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from django.db import transaction
from django.db.models import QuerySet

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.models.revision import Revised

Head = TypeVar("Head", bound=Revised)
# By name, plain JSON, as the audit log keeps them.
Values = dict[str, Any]

CHANGED, UNDONE = "changed", "undid a change of"


class Stale(Exception):
    """It was changed after the caller had read it; nothing was done."""


class Changeable(ABC, Generic[Head]):
    """What staff change as one."""

    model: type[Head]

    @abstractmethod
    def values_of(self, head: Head) -> Values:
        """All that can be changed, as it is now."""

    @abstractmethod
    def write(self, head: Head, changes: Mapping[str, Any]) -> None:
        """Save these values, and with them the head in a newer revision."""

    def history(self, head: Head) -> QuerySet[AuditEntry]:
        """What was done to it, the newest first."""
        return AuditEntry.objects.about(head)

    def difference(self, head: Head, wanted: Mapping[str, Any]) -> tuple[Values, Values]:
        """Of the values wanted those that aren't so yet: as they are, and as wanted."""
        now = self.values_of(head)
        names = [name for name, value in wanted.items() if now[name] != value]
        return {name: now[name] for name in names}, {name: wanted[name] for name in names}

    @transaction.atomic
    def change(
        self,
        head: Head,
        wanted: Mapping[str, Any],
        *,
        by: User | None,
        revision: int | None,
        reason: str,
        action: str = CHANGED,
    ) -> AuditEntry | None:
        """Give it these values; `None` if it has them already, whatever the revision.

        `revision` is of the edition that the caller looked at; `None` for a command, which looks at none.
        Raises `Stale`.
        """
        head = self._locked(head)
        before, after = self.difference(head, wanted)
        if not after:
            return None
        if revision is not None and head.revision != revision:
            raise Stale
        self.write(head, after)
        return audit.record(action, head, by=by, before=before, after=after, reason=reason)

    def can_undo(self, head: Head, entry: AuditEntry) -> bool:
        """Whether the entry tells of a change that nobody has changed anything after."""
        names = set(entry.before)
        if entry.revision != head.revision or not names or names != set(entry.after):
            return False
        return names <= set(self.values_of(head))

    @transaction.atomic
    def undo(self, head: Head, entry: AuditEntry, *, by: User) -> AuditEntry | None:
        """Give back what an entry of its history says was before. Raises `Stale`."""
        head = self._locked(head)
        if not self.can_undo(head, entry):
            raise Stale
        why = f"Undo of the change by {entry.actor_label} at {entry.at:%Y-%m-%d %H:%M} UTC"
        reason = f"{why}: {entry.reason}" if entry.reason else f"{why}."
        return self.change(head, entry.before, by=by, revision=head.revision, reason=reason, action=UNDONE)

    def _locked(self, head: Head) -> Head:
        """As it is now, kept from everybody else until the transaction's end."""
        return self.model._default_manager.select_for_update(no_key=True).get(pk=head.pk)


class ChangeableRow(Changeable[Head]):
    """Some fields of one row."""

    def __init__(self, model: type[Head], fields: Sequence[str]) -> None:
        self.model, self.fields = model, tuple(fields)

    def values_of(self, head: Head) -> Values:
        return {name: getattr(head, name) for name in self.fields}

    def write(self, head: Head, changes: Mapping[str, Any]) -> None:
        for name, value in changes.items():
            setattr(head, name, value)
        head.save(update_fields=changes.keys())
