"""Letters are owed here and sent by the worker: a row, written in the transaction that gives cause for it."""

import json
from dataclasses import asdict, dataclass

from accounts.mail.seal import seal, unseal
from accounts.models import Letter

LONGEST_ADDRESS = 254


@dataclass(frozen=True, slots=True)
class Content:
    """What a letter says. `html` is the same as `text`, for who prefers it."""

    subject: str
    text: str
    html: str | None
    reply_to: str | None


def owe_letter(
    kind: str,
    recipient: str,
    subject: str,
    text: str,
    *,
    html: str | None = None,
    reply_to: str | None = None,
) -> Letter:
    """Owe one address an email, in the caller's transaction.

    `kind` is the name of its template, for staff to read: at most 60 characters, none of them a secret. The
    subject is put into one line. Of `text` a line is a paragraph, however long: it is wrapped when it is sent.
    """
    letter = Letter(kind=kind, recipient=recipient)
    if len(recipient) > LONGEST_ADDRESS:
        # Somebody typed it. A request doesn't fail for that, and no mail server would take it (RFC 5321).
        letter.recipient, letter.given_up_at = recipient[:LONGEST_ADDRESS], letter.created_at
        letter.error = "The address is too long to be one."
    else:
        content = Content(" ".join(subject.split()), text, html, reply_to)
        letter.sealed = seal(json.dumps(asdict(content)))
    letter.save()
    return letter


def content_of(letter: Letter) -> Content:
    """Raises `accounts.mail.seal.BrokenSeal`."""
    return Content(**json.loads(unseal(letter.sealed)))
