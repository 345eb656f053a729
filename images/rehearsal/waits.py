"""Refusals that end: from the first request on for so many seconds; the next one after that is let through.

With it the wait is over, and the request behind it begins another. So a program that waits as it is told is
refused once, and then served, however often it is tried. It is remembered in the cache alone.
"""

import math
import time

from django.core.cache import cache
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

# For who doesn't come back: then the next request begins another wait.
FORGOTTEN_AFTER = 600  # seconds


def seconds_left(key_id: int, word: str, wait: int) -> int | None:
    """How long this request's refusal lasts; `None` if it is let through. Two round trips at most.

    One wait at a time for a key and a word. While the cache is away each request begins one.
    """
    name, now = f"rehearsal:{key_id}:{word}", time.time()
    try:
        if cache.add(name, now + wait, wait + FORGOTTEN_AFTER):
            return wait
        ends_at: float | None = cache.get(name)
        if ends_at is None:  # another request was let through between the two
            return wait
        if ends_at > now:
            return max(1, math.ceil(ends_at - now))
        # Of several at once, one is let through.
        return None if cache.delete(name) else wait
    except (ConnectionInterrupted, RedisError):
        return wait
