"""How many keys each tier has, for the pages about tiers. Counted once a minute, whoever looks: among 100,000
keys it takes as long as the rest of a page. What a change would do is counted anew (`usage.staff.affected`).
"""

from datetime import datetime
from typing import NamedTuple

from django.core.cache import cache
from django.db.models import Count
from django.utils import timezone
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

from accounts.models import ApiKey

REMEMBERED_SECONDS = 60
_NAME = "staff:keys by tier"


class KeyCounts(NamedTuple):
    """Keys that aren't revoked, by the tier's primary key, as they were `at`."""

    at: datetime
    by_tier: dict[int, int]

    def of(self, tier_pk: int) -> int:
        return self.by_tier.get(tier_pk, 0)


def key_counts() -> KeyCounts:
    """At most one query, and a round trip to the cache; without the cache the query."""
    try:
        remembered: KeyCounts | None = cache.get(_NAME)
        if remembered is not None:
            return remembered
        counts = _count()
        cache.set(_NAME, counts, REMEMBERED_SECONDS)
    except (ConnectionInterrupted, RedisError):
        return _count()
    return counts


def _count() -> KeyCounts:
    rows = ApiKey.objects.in_force().order_by().values("tier").annotate(keys=Count("pk"))
    return KeyCounts(timezone.now(), dict(rows.values_list("tier", "keys")))
