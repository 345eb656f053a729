"""What staff change in SQL is announced in the limit store, so that the next request feels it everywhere.

The announcement follows the commit: a process that is told to reload must find the new row. If the store
can't be told, processes learn of it when their copy is a minute old.
"""

import logging
import time
from typing import Any

import redis
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from accounts.models import ApiKey, Tier, User
from usage.limits.store import LADDER, LimitStore, limit_store
from usage.models import EscalationPolicy
from usage.subjects import key_subject_id

logger = logging.getLogger(__name__)


@receiver(post_save, sender=ApiKey)
def announce_key(instance: ApiKey, created: bool, **_: Any) -> None:
    if not created:
        _after_commit(lambda: limit_store().announce_key(key_subject_id(instance.pk), instance.revision))


@receiver(post_delete, sender=ApiKey)
def announce_deleted_key(instance: ApiKey, **_: Any) -> None:
    subject_id, now = key_subject_id(instance.pk), time.time_ns() // 1000
    _after_commit(lambda: limit_store().announce_key(subject_id, max(instance.revision + 1, now)))


@receiver(post_save, sender=Tier)
def announce_tier(instance: Tier, created: bool, **_: Any) -> None:
    if not created:
        _after_commit(lambda: limit_store().announce_tier(instance.slug, instance.revision))


@receiver(post_save, sender=EscalationPolicy)
def announce_ladder(instance: EscalationPolicy, created: bool, **_: Any) -> None:
    if not created:
        _after_commit(lambda: limit_store().announce_tier(LADDER, instance.revision))


@receiver(post_save, sender=User)
def announce_keys_of_owner(
    instance: User, created: bool, update_fields: frozenset[str] | None = None, **_: Any
) -> None:
    """A disabled account's keys stop with it."""
    if created or (update_fields is not None and "is_active" not in update_fields):
        return
    for key in instance.api_keys.all():
        key.save(update_fields=["revision"])


def announce_ladder_in_force(store: LimitStore) -> int:
    """Once more, in case the store has not heard of it: no process reads the ladder anew by itself.

    Gives the number of announcements. Raises `redis.RedisError`.
    """
    store.announce_tier(LADDER, EscalationPolicy.objects.get(pk=EscalationPolicy.ROW).revision)
    return 1


def _after_commit(announce: Any) -> None:
    def announce_if_possible() -> None:
        try:
            announce()
        except redis.RedisError as error:
            logger.warning("The limit store was not told of a change; it holds within a minute: %s", error)

    transaction.on_commit(announce_if_possible)
