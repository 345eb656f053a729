"""Sends the mail that is owed, from the worker: it may take its time, and no request waits for it.

An email is sent at least once. Between the server's "accepted" and our row that says so a crash can always
come; then it is sent again, under the same Message-ID, rather than not at all.
"""

import contextlib
import logging
import smtplib
import time
from datetime import datetime, timedelta

from celery.exceptions import SoftTimeLimitExceeded
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db.models import F
from django.utils import timezone

from usage.mail import pauses
from usage.mail.wording import email_of, time_of
from usage.models import Notice

logger = logging.getLogger(__name__)

# Seconds. After the first, a run begins no further email; at the second it leaves a server that answers byte
# by byte; at the third it is killed.
RUN_SECONDS = 30
SOFT_LIMIT = 60
HARD_LIMIT = 90
# A notice is its sender's for longer than that can live.
CLAIM = timedelta(minutes=5)
# How many notices a run reads; the next run is seconds away.
BATCH = 500

SERVICE_CLOSES = 421  # "I hang up", in answer to anything (RFC 5321)


class ServerTrouble(Exception):
    """The mail server can't be talked to: nothing else would get through either."""


class Unsendable(Exception):
    """This one email was not taken, or can't be made. `for_good`: asking again soon is no use."""

    def __init__(self, why: str, *, for_good: bool) -> None:
        super().__init__(why)
        self.for_good = for_good


def send_notices() -> int:
    """Send what is due; gives the number of emails sent. A server that fails is left alone for a while."""
    now = timezone.now()
    with pauses.one_at_a_time(HARD_LIMIT) as our_turn:
        if not our_turn or pauses.is_resting(now):
            return 0
        due = list(Notice.objects.due(now).select_related("key__owner", "key__tier")[:BATCH])
        try:
            return _send_all(due) if due else 0
        except ServerTrouble as trouble:
            pauses.rest(timezone.now())
            logger.warning("Mail waits: %s", trouble)
            # So that staff see what they wait for. They stay due, and go out as soon as the server is back.
            Notice.objects.due(now).update(error=_line(trouble))
            return 0


def _send_all(due: list[Notice]) -> int:
    """Send these over one connection until they, or our time, are over. Raises `ServerTrouble`."""
    connection, sent, end = get_connection(), 0, time.monotonic() + RUN_SECONDS
    try:
        try:
            connection.open()
        except (OSError, SoftTimeLimitExceeded) as error:
            raise ServerTrouble(f"the mail server can't be used: {_said(error)}") from error
        for notice in due:
            if time.monotonic() > end:
                break
            if claim(notice):
                sent += send(notice, connection)
        return sent
    finally:
        # What is sent is sent, whether or not the server says goodbye.
        with contextlib.suppress(OSError):
            connection.close()


def claim(notice: Notice) -> bool:
    """Whether this notice is ours to send now: it is still due as it was when we read it.

    Its due time moves on: whatever becomes of us, it is due again when our claim is over.
    """
    until = timezone.now() + CLAIM
    unclaimed = Notice.objects.waiting().filter(pk=notice.pk, due_at=notice.due_at)
    if not unclaimed.update(due_at=until, attempts=F("attempts") + 1):
        return False
    notice.due_at, notice.attempts = until, notice.attempts + 1
    return True


def send(notice: Notice, connection: BaseEmailBackend) -> bool:
    """Send a claimed notice and book what became of it. Raises `ServerTrouble`, having booked that."""
    now = timezone.now()
    try:
        email = _made(notice, now)
        if why_not := _why_not(notice, now):
            notice.give_up(now, why_not)
            return False
        _deliver(email, connection)
    except Unsendable as unsendable:
        pause = pauses.LONGEST if unsendable.for_good else pauses.pause_after(notice.attempts)
        notice.postpone(now + pause, _line(unsendable))
        logger.warning("The email %s waits: %s", notice, unsendable)
        return False
    except ServerTrouble as trouble:
        # Should this email be what the server can't bear, then the others come first from now on.
        notice.postpone(now + pauses.pause_after(notice.attempts), _line(trouble))
        raise
    notice.book_as_sent(timezone.now())
    pauses.rest_no_more()
    return True


def _why_not(notice: Notice, now: datetime) -> str | None:
    """Why nobody would gain by this email, if so."""
    owner = notice.key.owner
    if not owner.is_active:
        return "The account is not active."
    if not owner.email:
        return "The account has no email address."
    if notice.kind in Notice.QUOTA_KINDS:
        if not owner.wants_quota_emails:
            return "The owner has switched these emails off."
        resets_at = time_of(notice, "resets_at")
        if resets_at is not None and resets_at <= now:
            return "The day was over before it could be sent."
    return None


def _made(notice: Notice, now: datetime) -> EmailMessage:
    try:
        return email_of(notice, now)
    except Exception as error:
        # Whatever it is, it is this notice's, and must not keep the others.
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
    """What fits into a notice's error. A server may answer anything, even what SQL can't keep."""
    return "".join(c if c.isprintable() else " " for c in str(error))[:300]
