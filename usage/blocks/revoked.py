"""Whoever asked for a key's reactivation waits in vain once it is revoked."""

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from accounts.models import ApiKey
from usage.escalation.reactivation import answer_whoever_asked
from usage.models import ReactivationRequest


@receiver(post_save, sender=ApiKey)
def stop_waiting(instance: ApiKey, created: bool, **_: Any) -> None:
    """In the transaction that revokes it. Saved without that, a key that is revoked has nobody waiting."""
    if not created and instance.status == ApiKey.Status.REVOKED:
        answer_whoever_asked(instance, ReactivationRequest.Status.REVOKED, None, "")
