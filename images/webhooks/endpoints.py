"""The addresses that an account's events go to: made by being used, as `webhook_url`."""

import hashlib
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from images.models import WebhookEndpoint
from images.webhooks.destination import Unfit, destination
from usage.limits.refusals import ApiError
from usage.subjects import Subject

FIELD = "webhook_url"
MOST_ENDPOINTS = 100  # an account
# A write for each request would be one too many.
USES_NOTED_EVERY = timedelta(minutes=1)
# One that another request was just given is not removed before its job has a row.
KEPT_AFTER_USE = timedelta(minutes=5)


def endpoint_of(subject: Subject, url: str) -> WebhookEndpoint:
    """The account's endpoint for an address that a request gave; made if it is the first to give it.

    Raises `ApiError` `invalid_request`.
    """
    account_id, url = fit(subject, url)
    return _found_or_made(account_id, url)


def fit(subject: Subject, url: str) -> tuple[int, str]:
    """The account that signs what is sent there, and the address as it is kept.

    Raises `ApiError` `invalid_request`.
    """
    if subject.account_id is None:
        raise _refusal("Webhooks are signed with your account's secret: send a key.")
    try:
        return subject.account_id, destination(url)
    except Unfit as why:
        raise _refusal(f"webhook_url can't be used. {why}") from None


def digest_of(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def _found_or_made(owner_id: int, url: str) -> WebhookEndpoint:
    now, digest = timezone.now(), digest_of(url)
    endpoint = WebhookEndpoint.objects.filter(owner_id=owner_id, url_digest=digest).first()
    if endpoint is None:
        _make_room(owner_id)
        # Two requests at once make one of them; a few more than the most is no harm.
        endpoint, _ = WebhookEndpoint.objects.get_or_create(
            owner_id=owner_id, url_digest=digest, defaults={"url": url}
        )
    if endpoint.disabled_at is not None:
        raise _refusal(f"This webhook_url is disabled. Enable it again at {page()}")
    if endpoint.last_used_at < now - USES_NOTED_EVERY:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(last_used_at=now)
    return endpoint


def page() -> str:
    """The whole address of the page about webhooks."""
    return f"{settings.BASE_URL}/webhooks/"


def _make_room(owner_id: int) -> None:
    """Where an account has all that it may have, remove the one that was not used for longest, with its log.

    Some people write each job's number into the address.
    """
    mine = WebhookEndpoint.objects.filter(owner_id=owner_id)
    if mine.count() < MOST_ENDPOINTS:
        return
    # Those that are disabled go last: they would come back enabled.
    idle = mine.filter(last_used_at__lt=timezone.now() - KEPT_AFTER_USE).idle()
    for is_enabled in (True, False):
        oldest = idle.filter(disabled_at__isnull=is_enabled).order_by("last_used_at").first()
        if oldest is not None:
            oldest.delete()
            return
    raise _refusal(f"At most {MOST_ENDPOINTS} addresses at a time. Use one again: the event says which job.")


def _refusal(detail: str) -> ApiError:
    return ApiError("invalid_request", detail, field=FIELD)
