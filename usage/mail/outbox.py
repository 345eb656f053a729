"""The outbox of notices: how one becomes an email, and when nobody would gain by it."""

from datetime import datetime

from django.core.mail import EmailMessage

from accounts.mail.outboxes import Outbox, Pointless
from accounts.models import ApiKey
from usage.mail.wording import email_of, time_of
from usage.models import Notice


def email_unless_pointless(notice: Notice, now: datetime) -> EmailMessage:
    if why_not := _why_not(notice, now):
        raise Pointless(why_not)
    return email_of(notice, now)


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
    if notice.kind == Notice.Kind.KEY_EXPIRING:
        if notice.key.status == ApiKey.Status.REVOKED:
            return "The key was revoked before it could be sent."
        if notice.key.expires_at != time_of(notice, "expires_at"):
            return "The key has another end by now."
    return None


OUTBOX = Outbox(
    rank=1, mails=Notice.objects.select_related("key__owner", "key__tier"), email_of=email_unless_pointless
)
