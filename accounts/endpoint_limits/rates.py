"""The rates in force: what staff have put into the rows, felt by every process within 2 s, without SQL.

Each process keeps a copy that is a second old at most, and takes it from one entry of the shared cache. That
is written after the commit of each save; where it is missing, whoever misses it fills it from SQL.
"""

import logging
import time
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

from accounts.models import EndpointLimit

logger = logging.getLogger(__name__)

COPY_SECONDS = 1.0
# The entry's life. A save that could not be announced, and rows that are changed by hand, hold after that.
ENTRY_SECONDS = 60
ENTRY = "endpoint_limits"
LOCK = "endpoint_limits_lock"

Rate = tuple[int, int]  # requests, seconds
Rates = dict[str, Rate | None]

# When it was read (monotonic), and what. One assignment replaces both: threads need no lock.
_NEVER: tuple[float, Rates] = (float("-inf"), {})
_copy = _NEVER


def rate_of(name: str) -> Rate | None:
    """How much of this limit is allowed now; `None` is no limit. Raises `redis.RedisError`."""
    global _copy
    read_at, rates = _copy
    now = time.monotonic()
    if now - read_at >= COPY_SECONDS:
        rates = _read()
        _copy = (now, rates)
    return rates.get(name)


def forget_copy() -> None:
    """As in a process that has just begun."""
    global _copy
    _copy = _NEVER


def _read() -> Rates:
    rates: Rates | None = cache.get(ENTRY)
    if rates is None:
        rates = _of_rows()
        # Added, not set: a save that was announced since we asked SQL is newer.
        cache.add(ENTRY, rates, ENTRY_SECONDS)
    return rates


def _of_rows() -> Rates:
    return {limit.name: limit.rate for limit in EndpointLimit.objects.all()}


@receiver([post_save, post_delete], sender=EndpointLimit)
def announce_after_commit(**_: Any) -> None:
    transaction.on_commit(_announce)


def _announce() -> None:
    """Put the rows as they are now into the entry.

    One process at a time: of two that read and write by turns, the one that read first could write last.
    """
    try:
        with cache.lock(LOCK, timeout=5, blocking_timeout=1):  # type: ignore[attr-defined]  # django-redis has it
            cache.set(ENTRY, _of_rows(), ENTRY_SECONDS)
    except (RedisError, ConnectionInterrupted) as error:
        logger.warning("An endpoint limit's change holds within %d s: %s", ENTRY_SECONDS, error)
