"""Does the limit store answer? For pages that say so; the guard finds out for itself."""

import threading
import time
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from usage.limits.store import LimitStore, limit_store

PATIENCE = 0.25  # seconds to connect, and to answer
REMEMBERED_SECONDS = 1.0


class Health:
    """Thread-safe. Asks once a second at most; whoever comes while another one asks gets the last answer."""

    def __init__(self, store: LimitStore) -> None:
        self._client = redis.Redis.from_url(
            store.url,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
        )
        self._asking = threading.Lock()
        self._is_down = False
        self._asked_at = -REMEMBERED_SECONDS

    def ask(self) -> dict[str, Any]:
        """What the store tells of itself, with `ping_ms`. Raises `redis.RedisError`."""
        began = time.perf_counter()
        self._client.ping()
        ping_ms = (time.perf_counter() - began) * 1000
        told: dict[str, Any] = self._client.info("server", "memory", "persistence")
        return {**told, "ping_ms": ping_ms}

    def is_down(self) -> bool:
        if time.monotonic() - self._asked_at >= REMEMBERED_SECONDS and self._asking.acquire(blocking=False):
            try:
                self._client.ping()
                self._is_down = False
            except redis.RedisError:
                self._is_down = True
            finally:
                self._asked_at = time.monotonic()
                self._asking.release()
        return self._is_down


_healths: dict[str, Health] = {}


def health_of_store() -> Health:
    """Of this process's limit store."""
    store = limit_store()
    health = _healths.get(store.url)
    return _healths.setdefault(store.url, Health(store)) if health is None else health


def is_store_down() -> bool:
    """Whether the limit store can't be asked now, as of the last second; takes half a second at most."""
    return health_of_store().is_down()
