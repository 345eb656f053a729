"""One worker at a time sends webhooks: a second would wait for the same receivers.

Kept in the cache, which every worker shares. It spares workers and nothing else depends on it: who may make
an attempt is decided in SQL.
"""

import contextlib
import time

from django.core.cache import cache
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

# A dead worker's turn is over after so long; a live one says so more often.
TURN_SECONDS = 5
_SENDING = "webhooks:sending"
_ASKED = "webhooks:asked"


class Turn:
    """Held by the worker that sends; `keep` it while it lasts."""

    def __init__(self) -> None:
        self._kept_at = 0.0
        self._is_over = False

    def keep(self) -> None:
        now = time.monotonic()
        if not self._is_over and now - self._kept_at > 1:
            self._kept_at = now
            with contextlib.suppress(ConnectionInterrupted, RedisError):
                cache.set(_SENDING, 1, timeout=TURN_SECONDS)

    def end(self) -> None:
        """Give it back; a second time is nothing, as another may have it by then."""
        if self._is_over:
            return
        self._is_over = True
        with contextlib.suppress(ConnectionInterrupted, RedisError):
            cache.delete(_SENDING)


def ask() -> None:
    """Say that there may be something to send: to whoever has the turn, if it isn't oneself."""
    cache.set(_ASKED, 1, timeout=60)


def is_asked() -> bool:
    return cache.get(_ASKED) is not None


def take() -> Turn | None:
    """The turn, with what was asked for so far; `None` while another has it."""
    if not cache.add(_SENDING, 1, timeout=TURN_SECONDS):
        return None
    cache.delete(_ASKED)
    return Turn()
