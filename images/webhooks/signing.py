"""An account's secret, and the signatures that it makes (Standard Webhooks 1.0.0, by its own library)."""

import base64
import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from standardwebhooks import Webhook

from accounts import audit
from accounts.models import User
from accounts.sealing import seal, unseal
from images.models import WebhookSecret

PURPOSE = "webhook secrets"  # of the seal
SECRET_BYTES = 32
# Receivers have so long to take the new one over: until then the former one signs, too.
OVERLAP = timedelta(hours=24)


def secret_of(owner_id: int) -> WebhookSecret:
    """The account's secret, made when it is first asked for."""
    found, _ = WebhookSecret.objects.get_or_create(owner_id=owner_id, defaults={"sealed": _new()})
    return found


def text_of(secret: WebhookSecret) -> str:
    """`whsec_…`. Raises `accounts.sealing.BrokenSeal`."""
    return unseal(PURPOSE, secret.sealed)


def signatures(owner_id: int, event_id: str, at: datetime, body: str) -> str:
    """The value of `webhook-signature`: by the secret, and by the former one while that signs, too.

    `at` is in UTC. Raises `accounts.sealing.BrokenSeal`.
    """
    secret = secret_of(owner_id)
    sealed = [secret.sealed]
    if secret.former_until is not None and secret.former_until > at:
        sealed.append(secret.former_sealed)
    return " ".join(Webhook(unseal(PURPOSE, each)).sign(event_id, at, body) for each in sealed)


def rotate(owner: User, *, by: User) -> WebhookSecret:
    """Give the account a new secret; the one it had signs, too, until the overlap is over, and no other."""
    now = timezone.now()
    with transaction.atomic():
        secret_of(owner.pk)
        secret = WebhookSecret.objects.select_for_update().get(owner=owner)
        secret.former_sealed, secret.former_until = secret.sealed, now + OVERLAP
        secret.sealed, secret.created_at = _new(), now
        secret.save()
        audit.record("rotated", secret, by=by, after={"former_until": secret.former_until.isoformat()})
    return secret


def end_overlap(owner: User, *, by: User) -> bool:
    """Have the former secret sign no more; `False` when none does."""
    with transaction.atomic():
        secret = WebhookSecret.objects.select_for_update().filter(owner=owner).first()
        if secret is None or secret.former_until is None or secret.former_until <= timezone.now():
            return False
        before = {"former_until": secret.former_until.isoformat()}
        secret.former_sealed, secret.former_until = "", None
        secret.save()
        audit.record("stopped the former secret", secret, by=by, before=before)
    return True


def _new() -> str:
    return seal(PURPOSE, "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode())
