"""What the page about webhooks shows: addresses, and each event with how it stands."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from django.db.models import Prefetch, QuerySet

from accounts.models import User
from images.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from images.webhooks.actions import why_not_again
from images.webhooks.schedule import RETRIES

MOST_ATTEMPTS = 1 + len(RETRIES)
ATTEMPTS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt, in words."""

    at: datetime
    milliseconds: int
    answer: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An event and how it stands. `level` is as of a badge: ok, near, full, or empty for neither.

    `next_at` is when it is tried next; `why_not_again` is empty where it can be sent again now.
    """

    delivery: WebhookDelivery
    name: str
    words: str
    level: str
    sentence: str
    next_at: datetime | None
    tries: list[Try]
    why_not_again: str


def deliveries_of(owner: User) -> QuerySet[WebhookDelivery]:
    """The account's events, the newest first, with what `entries` reads of their attempts."""
    log = Prefetch("log", WebhookAttempt.objects.order_by("-at", "-pk")[:ATTEMPTS_SHOWN], to_attr="newest")
    return WebhookDelivery.objects.of(owner).select_related("endpoint").prefetch_related(log)


def endpoints_of(owner: User) -> QuerySet[WebhookEndpoint]:
    """The account's addresses, the last used first."""
    return WebhookEndpoint.objects.filter(owner=owner).order_by("-last_used_at", "-pk")


def entries(deliveries: Iterable[WebhookDelivery], now: datetime) -> list[Entry]:
    """Of deliveries that `deliveries_of` gave."""
    return [_entry(delivery, now) for delivery in deliveries]


def _entry(delivery: WebhookDelivery, now: datetime) -> Entry:
    newest: list[WebhookAttempt] = delivery.newest  # type: ignore[attr-defined]  # prefetched
    tries = [Try(attempt.at, attempt.milliseconds, _answer(attempt)) for attempt in newest]
    last = tries[0].answer if tries and delivery.attempts else ""
    again = why_not_again(delivery) or ""
    if delivery.status == delivery.Status.DELIVERED:
        number = "the first attempt" if delivery.attempts == 1 else f"attempt {delivery.attempts}"
        return Entry(delivery, "delivered", "Delivered", "ok", f"{last} at {number}.", None, tries, again)
    if delivery.status == delivery.Status.FAILED:
        sentence = delivery.note or f"Given up after {_attempts(delivery.attempts)}. {last}."
        return Entry(delivery, "failed", "Failed", "full", sentence, None, tries, again)
    if delivery.is_being_sent(now):
        return Entry(delivery, "sending", "Sending", "", "It is on its way.", None, tries, again)
    next_at = delivery.next_attempt_at
    if delivery.attempts:
        sentence = f"Attempt {delivery.attempts} of {MOST_ATTEMPTS} failed. {last}."
        return Entry(delivery, "retrying", "Trying again", "near", sentence, next_at, tries, again)
    return Entry(delivery, "waiting", "Waiting", "", "It is about to be sent.", next_at, tries, again)


def _attempts(number: int) -> str:
    return "one attempt" if number == 1 else f"{number} attempts"


def _answer(attempt: WebhookAttempt) -> str:
    """`HTTP 503 Service Unavailable`, or what went wrong; without a full stop."""
    if attempt.status_code is None:
        return attempt.error.removesuffix(".")
    try:
        phrase = HTTPStatus(attempt.status_code).phrase
    except ValueError:
        phrase = ""
    said = f"HTTP {attempt.status_code} {phrase}".strip()
    return f"{said}, and no redirect is followed" if 300 <= attempt.status_code < 400 else said
