"""What mail is owed: each app registers an outbox for its own kind."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic

from django.core.mail import EmailMessage

from accounts.models.owed_mail import Owed, OwedMailQuerySet


class Pointless(Exception):
    """Nobody would gain by this email; the text says why."""


@dataclass(frozen=True, slots=True)
class Outbox(Generic[Owed]):
    """Rows of mail, and how they become emails.

    What waits in an outbox of a lower `rank` is sent first. `mails` come with the rows that `email_of` needs.
    `email_of` takes a mail and the time; it raises `Pointless`, or whatever it makes of facts that make no
    sense.
    """

    rank: int
    mails: OwedMailQuerySet[Owed] = field(repr=False)  # to show it would ask the database
    email_of: Callable[[Owed, datetime], EmailMessage]


_outboxes: list[Outbox[Any]] = []


def register(outbox: Outbox[Any]) -> None:
    _outboxes.append(outbox)
    _outboxes.sort(key=lambda known: known.rank)


def registered() -> tuple[Outbox[Any], ...]:
    """All outboxes, in the order in which they are emptied."""
    return tuple(_outboxes)
