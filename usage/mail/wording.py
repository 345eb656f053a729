"""What an email says: the templates in templates/usage/mail, filled with a notice's facts."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Max
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts.mail.message import message_of
from usage import subjects
from usage.escalation.ladder import SUSPENDED, WARNED
from usage.escalation.policy import read_ladder
from usage.guard.answers import explain_url
from usage.models import EscalationEvent, Notice
from usage.spans import HOUR_SECONDS

# The facts that are times. Notices keep them as text.
_TIMES = ("until", "resets_at", "retires_at", "expires_at")


def email_of(notice: Notice, now: datetime) -> EmailMessage:
    """The email to the key's owner. It names the key and shows its start; its text is nobody's to send.

    Raises whatever a template or a header makes of facts that make no sense.
    """
    context = _context(notice, now)
    with timezone.override(UTC):  # every time that an email tells is one
        subject = render_to_string(f"usage/mail/{notice.kind}_subject.txt", context)
        body = render_to_string(f"usage/mail/{notice.kind}.txt", context)
    return message_of(notice, notice.key.owner.email, subject, body)


def time_of(notice: Notice, fact: str) -> datetime | None:
    text = notice.facts.get(fact)
    return datetime.fromisoformat(text) if text else None


def _context(notice: Notice, now: datetime) -> dict[str, Any]:
    ladder = read_ladder()
    times = {fact: time_of(notice, fact) for fact in _TIMES}
    next_tier = min(max(notice.facts.get("escalation", 0), WARNED) + 1, SUSPENDED)
    return {
        **notice.facts,
        **times,
        "is_over": times["until"] is not None and times["until"] <= now,
        "percent": notice.facts["used"] * 100 // notice.facts["limit"] if "limit" in notice.facts else None,
        "happened_at": notice.created_at,
        "now": now,
        "key": notice.key,
        "last_used_at": _last_use(notice) if notice.kind == Notice.Kind.KEY_EXPIRING else None,
        "page": explain_url(subjects.of_key(notice.key)),
        "block_page": settings.BASE_URL + _block_page(notice),
        "keys_page": settings.BASE_URL + reverse("keys"),
        "notifications_page": f"{settings.BASE_URL}{reverse('account')}#notifications",
        "next_tier": next_tier,
        "next_name": ladder.steps[next_tier].name,
        "strikes_to_next": ladder.steps[next_tier].strikes,
        "strikes_to_suspension": ladder.steps[SUSPENDED].strikes,
        "decay_hours": ladder.decay_seconds // HOUR_SECONDS,
    }


def _block_page(notice: Notice) -> str:
    """Of the block or suspension that the notice is about: its occasion names the change. Where that is gone,
    and for what else is said of a suspended key, the page that leads to the present suspension."""
    if notice.kind in (Notice.Kind.DAY_BLOCK, Notice.Kind.SUSPENSION):
        event = EscalationEvent.objects.filter(event_id=notice.once.partition(":")[2]).first()
        if event is not None:
            return reverse("block", args=[event.pk])
    return reverse("ask_for_reactivation", args=[notice.key_id])


def _last_use(notice: Notice) -> datetime | None:
    used: datetime | None = notice.key.secrets.aggregate(used=Max("last_used_at"))["used"]
    return used
