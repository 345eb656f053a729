"""What people do to their webhooks, besides to the secret (`signing`)."""

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import User
from images.models import WebhookDelivery, WebhookEndpoint
from images.webhooks import sending
from images.webhooks.waking import wake


class NotPossible(Exception):
    """It can't be done as things are; the text says why, and what can be done."""


def disable(endpoint: WebhookEndpoint, *, by: User) -> bool:
    """Send nothing there any more, nor what waits for it; `False` if it is disabled already."""
    now = timezone.now()
    with transaction.atomic():
        enabled = WebhookEndpoint.objects.filter(pk=endpoint.pk, disabled_at=None)
        if not enabled.update(disabled_at=now, is_gone=False):
            return False
        WebhookDelivery.objects.end_waiting(endpoint, sending.DISABLED)
        audit.record("disabled", endpoint, by=by, after={"disabled_at": now.isoformat()})
    return True


def enable(endpoint: WebhookEndpoint, *, by: User) -> bool:
    """Send there again, from the next event on; `False` if it is enabled already."""
    with transaction.atomic():
        disabled = WebhookEndpoint.objects.select_for_update().filter(pk=endpoint.pk)
        was = disabled.exclude(disabled_at=None).first()
        if was is None or was.disabled_at is None:
            return False
        disabled.update(disabled_at=None, is_gone=False)
        before = {"disabled_at": was.disabled_at.isoformat()}
        audit.record("enabled", endpoint, by=by, before=before, after={"disabled_at": None})
    return True


def redeliver(delivery: WebhookDelivery) -> None:
    """Send an event again, at once and then as often as a new one; its `webhook-id` stays.

    Raises `NotPossible`.
    """
    now = timezone.now()
    with transaction.atomic():
        found = WebhookDelivery.objects.select_for_update().filter(pk=delivery.pk).first()
        if found is None:
            return
        if (why := why_not_again(found)) is not None:
            raise NotPossible(why)
        found.begin_again(now)
    wake()


def why_not_again(delivery: WebhookDelivery) -> str | None:
    """Why an event can't be sent again now; `None` if it can."""
    if delivery.job_id is None:
        return "Its job was removed, a day after its end: there is nothing left to tell."
    if delivery.endpoint.disabled_at is not None:
        return "Its address is disabled: enable that first."
    if delivery.is_being_sent(timezone.now()):
        return "It is being sent right now."
    return None
