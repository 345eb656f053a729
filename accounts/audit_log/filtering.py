"""The audit log's filter: what somebody asks for, and which of it an index finds."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q, QuerySet

from accounts import audit
from accounts.audit_log.choices import CUSTOMERS
from accounts.models import AuditEntry, User


class Thing(NamedTuple):
    """What an entry is about, as it names it: a model and a primary key. In an address: `accounts.tier:2`."""

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type}:{self.id}"


@dataclass(frozen=True, slots=True)
class Asked:
    """Empty is: whatever it be. `since` is included, `until` is not."""

    about: Thing | None = None
    who: str = ""
    action: str = ""
    kind: str = ""
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def split(self) -> tuple[QuerySet[AuditEntry], Q]:
        """The entries that one index finds, in the log's order, and what else they have to be."""
        by_index, others = self._conditions()
        if self.since is not None:
            by_index &= Q(at__gte=self.since)
        if self.until is not None:
            by_index &= Q(at__lt=self.until)
        return AuditEntry.objects.filter(by_index), others

    def all_of_it(self) -> QuerySet[AuditEntry]:
        """Everything that was asked for, the newest first, however long that takes to find."""
        entries, others = self.split()
        return entries.filter(others).order_by("-at", "-id")

    def _conditions(self) -> tuple[Q, Q]:
        """The condition that finds the fewest, and the others."""
        conditions = []
        if self.about is not None:
            conditions.append(Q(target_type=self.about.type, target_id=self.about.id))
        if self.who and self.who != CUSTOMERS:
            conditions.append(Q(actor_label=self.who))
        if self.action:
            conditions.append(Q(action=self.action))
        if self.kind and self.about is None:
            conditions.append(Q(target_type=self.kind))
        first = conditions.pop(0) if conditions else Q()
        others = Q()
        for condition in conditions:
            others &= condition
        if self.who == CUSTOMERS:
            others &= by_customers()
        for word in self.text.split():
            others &= mentions(word)
        return first, others


def by_customers() -> Q:
    """What was done by people who aren't staff now."""
    staff = User.objects.filter(is_staff=True)
    return ~Q(actor_label=audit.COMMAND_LINE) & ~Q(actor__in=staff)


def mentions(word: str) -> Q:
    """A word anywhere in what an entry says of who, what and why."""
    return (
        Q(actor_label__icontains=word)
        | Q(target_label__icontains=word)
        | Q(reason__icontains=word)
        | Q(action__icontains=word)
    )
