"""Sends the mail that is owed, from the worker: it may take its time, and no request waits for it.

An email is sent at least once. Between the server's "accepted" and our row that says so a crash can always
come; then it is sent again, under the same Message-ID, rather than not at all.
"""

import contextlib
import logging
import smtplib
import time
from datetime import datetime, timedelta
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone

from accounts.mail import outboxes, pauses
from accounts.mail.outboxes import Outbox, Pointless
from accounts.models.owed_mail import OwedMail

logger = logging.getLogger(__name__)

# Seconds. After the first, a run begins no further email; at the second it leaves a server that answers byte
# by byte; at the third it is killed.
RUN_SECONDS = 30
SOFT_LIMIT = 60
HARD_LIMIT = 90
# A mail is its sender's for longer than that can live.
CLAIM = timedelta(minutes=5)
# How many mails are read at a time, of each outbox.
BATCH = 500

Due = tuple[Outbox[Any], OwedMail]

SERVICE_CLOSES = 421  # "I hang up", in answer to anything (RFC 5321)


class ServerTrouble(Exception):
    """The mail server can't be talked to: nothing else would get through either."""


class Unsendable(Exception):
    """This one email was not taken, or can't be made. `for_good`: asking again soon is no use."""

    def __init__(self, why: str, *, for_good: bool) -> None:
        super().__init__(why)
        self.for_good = for_good


def send_what_is_due() -> int:
    """Send what is due; gives the number of emails sent. A server that fails is left alone for a while."""
    now = timezone.now()
    with pauses.one_at_a_time(HARD_LIMIT) as our_turn:
        if not our_turn or pauses.is_resting(now):
            return 0
        due = _due(now)
        try:
            return _send_all(due) if due else 0
        except ServerTrouble as trouble:
            pauses.rest(timezone.now())
            logger.warning("Mail waits: %s", trouble)
            # So that staff see what they wait for. They stay due, and go out as soon as the server is back.
            for outbox in outboxes.registered():
                outbox.mails.due(now).update(error=_line(trouble))
            return 0


def _due(now: datetime) -> list[Due]:
    """What is to be sent, one outbox after the other."""
    return [(outbox, mail) for outbox in outboxes.registered() for mail in outbox.mails.due(now)[:BATCH]]


def _send_all(due: list[Due]) -> int:
    """Send these over one connection, and what is owed meanwhile, until our time is over.

    Raises `ServerTrouble`.
    """
    connection, sent, end = get_connection(), 0, time.monotonic() + RUN_SECONDS
    try:
        try:
            connection.open()
        except (OSError, SoftTimeLimitExceeded) as error:
            raise ServerTrouble(f"the mail server can't be used: {_said(error)}") from error
        while due:
            for outbox, mail in due:
                if time.monotonic() > end:
                    return sent
                if mail.claim(timezone.now() + CLAIM):
                    sent += _send(outbox, mail, connection)
            # Whoever owed a letter meanwhile woke a worker that left the server to us.
            due = _due(timezone.now())
        return sent
    finally:
        # What is sent is sent, whether or not the server says goodbye.
        with contextlib.suppress(OSError):
            connection.close()


def _send(outbox: Outbox[Any], mail: OwedMail, connection: BaseEmailBackend) -> bool:
    """Send a claimed mail and book what became of it. Raises `ServerTrouble`, having booked that."""
    now = timezone.now()
    try:
        _deliver(_made(outbox, mail, now), connection)
    except Pointless as pointless:
        mail.give_up(now, _line(pointless))
        return False
    except Unsendable as unsendable:
        pause = pauses.LONGEST if unsendable.for_good else pauses.pause_after(mail.attempts)
        mail.postpone(now + pause, _line(unsendable))
        logger.warning("The email %s waits: %s", mail, unsendable)
        return False
    except ServerTrouble as trouble:
        # Should this email be what the server can't bear, then the others come first from now on.
        mail.postpone(now + pauses.pause_after(mail.attempts), _line(trouble))
        raise
    mail.book_as_sent(timezone.now())
    pauses.rest_no_more()
    return True


def _made(outbox: Outbox[Any], mail: OwedMail, now: datetime) -> EmailMessage:
    try:
        return outbox.email_of(mail, now)
    except Pointless:
        raise
    except Exception as error:
        # Whatever it is, it is this mail's, and must not keep the others.
        raise Unsendable(f"It can't be made: {_said(error)}", for_good=True) from error


def _deliver(message: EmailMessage, connection: BaseEmailBackend) -> None:
    try:
        connection.send_messages([message])
    except smtplib.SMTPRecipientsRefused as error:
        # There is one recipient.
        (answer,) = error.recipients.values()
        raise _refusal(*answer) from error
    except smtplib.SMTPDataError as error:
        raise _refusal(error.smtp_code, error.smtp_error) from error
    except smtplib.SMTPNotSupportedError as error:
        raise Unsendable(_said(error), for_good=True) from error
    except (OSError, SoftTimeLimitExceeded) as error:  # all of smtplib's are OSErrors
        raise ServerTrouble(f"the mail server can't be used: {_said(error)}") from error
    except Exception as error:
        raise Unsendable(f"It can't be made: {_said(error)}", for_good=True) from error


def _refusal(code: int, text: bytes | str) -> Exception:
    """What an answer to one email means: that this one is refused, or (a hang-up, garbage) all of them."""
    if code == SERVICE_CLOSES or not 400 <= code < 600:
        return ServerTrouble(f"the mail server {_answered(code, text)}")
    return Unsendable(f"the mail server {_answered(code, text)}", for_good=code >= 500)


def _said(error: BaseException) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _answered(error.smtp_code, error.smtp_error)
    return str(error) or type(error).__name__


def _answered(code: int, text: bytes | str) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"answered {code} {words}"


def _line(error: Exception) -> str:
    """What fits into a mail's error. A server may answer anything, even what SQL can't keep."""
    return "".join(c if c.isprintable() else " " for c in str(error))[:300]
