"""Letters are owed here and sent by the worker: a row, written in the transaction that gives cause for it."""

import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta

from django.core.mail import EmailMessage
from django.db import transaction

from accounts.mail.message import message_of
from accounts.mail.outboxes import Outbox, Pointless
from accounts.mail.waking import wake_worker
from accounts.models import Letter
from accounts.sealing import BrokenSeal, seal, unseal

PURPOSE = "letters"  # of the seal
LONGEST_ADDRESS = 254
# A link in a letter works for three days: one that comes later than this leaves too little of them.
WORTH_SENDING = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Content:
    """What a letter says."""

    subject: str
    text: str
    reply_to: str | None


def owe_letter(
    kind: str,
    recipient: str,
    subject: str,
    text: str,
    *,
    reply_to: str | None = None,
) -> Letter:
    """Owe one address an email, in the caller's transaction.

    `kind` is the name of its template, for staff to read: at most 60 characters, none of them a secret. The
    subject is put into one line. What lines of `text` mean is told by `accounts.mail.layout`.
    """
    letter = Letter(kind=kind, recipient=recipient)
    if len(recipient) > LONGEST_ADDRESS:
        # Somebody typed it. A request doesn't fail for that, and no mail server would take it (RFC 5321).
        letter.recipient, letter.given_up_at = recipient[:LONGEST_ADDRESS], letter.created_at
        letter.error = "The address is too long to be one."
    else:
        content = Content(" ".join(subject.split()), text, reply_to)
        letter.sealed = seal(PURPOSE, json.dumps(asdict(content)))
    letter.save()
    # Somebody may be waiting for it. Should the queue be out of order, beat comes by.
    transaction.on_commit(wake_worker, robust=True)
    return letter


def content_of(letter: Letter) -> Content:
    """Raises `accounts.sealing.BrokenSeal`. Letters that were owed before an upgrade may tell more."""
    told = json.loads(unseal(PURPOSE, letter.sealed))
    return Content(**{one.name: told[one.name] for one in fields(Content)})


def email_of(letter: Letter, now: datetime) -> EmailMessage:
    if letter.created_at + WORTH_SENDING < now:
        raise Pointless(f"It couldn't be sent in time: {letter.error or 'nobody tried'}")
    try:
        content = content_of(letter)
    except BrokenSeal as error:
        raise Pointless(str(error)) from error
    return message_of(
        letter,
        letter.recipient,
        content.subject,
        content.text,
        reply_to=content.reply_to,
    )


# Before all others: people wait for these.
OUTBOX = Outbox(rank=0, mails=Letter.objects.all(), email_of=email_of)
