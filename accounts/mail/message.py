"""What all of our emails have in common: wrapped text, the same as HTML, an id, and a word to machines not to
answer."""

import re
import textwrap
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives

from accounts.mail.layout import FACT, FOOTER, QUOTE, html_of
from accounts.models.owed_mail import OwedMail

WIDTH = 76


def message_of(
    mail: OwedMail, to: str, subject: str, text: str, *, reply_to: str | None = None
) -> EmailMultiAlternatives:
    """The email for an owed mail. What lines of `text` mean is told by `accounts.mail.layout`."""
    # Of the mail, not of the attempt: who gets it twice can tell.
    id_of_it = f"<{mail._meta.model_name}.{mail.pk}.{mail.created_at:%Y%m%d%H%M%S}@{_host()}>"
    subject = " ".join(subject.split())  # in one line: a header can't hold what a key's name may
    message = EmailMultiAlternatives(
        subject,
        wrapped(text),
        to=[to],
        reply_to=[reply_to] if reply_to else None,
        headers={"Message-ID": id_of_it},
    )
    if not reply_to:
        # Asks other machines for no answer (RFC 3834). Not where we pass on what a person wrote: a help desk
        # lets such mail fall.
        message.extra_headers["Auto-Submitted"] = "auto-generated"
    message.attach_alternative(html_of(subject, text), "text/html")
    return message


def wrapped(text: str) -> str:
    """Lines no longer than `WIDTH`, but for words that are; empty ones that come together are one."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(map(_filled, text.splitlines()))).strip() + "\n"


def _filled(line: str) -> str:
    if line.rstrip() == FOOTER:
        return f"{FOOTER} "  # with the space, mail programs know what stands below (RFC 3676)
    further = f"{QUOTE} " if line.startswith(QUOTE) else "    " if FACT.fullmatch(line) else ""
    return textwrap.fill(
        line, WIDTH, subsequent_indent=further, break_long_words=False, break_on_hyphens=False
    )


def _host() -> str:
    return urlsplit(settings.BASE_URL).hostname or "localhost"
