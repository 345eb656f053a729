"""How a waiting request learns that its job has ended, without asking SQL again and again.

The worker commits the end, then pushes a token onto the job's own list in the store; the web process pops it.
Whichever comes first, the token is there for the other; where nobody waits, it expires.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django_redis import get_redis_connection
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

_KEPT_SECONDS = 60
# The connection takes a second's silence for a store that is away (CACHES in the settings), so a long wait is
# made of short ones: two commands a second for each request that waits.
_ONE_WAIT_SECONDS = 0.5


def tell(job_id: str) -> None:
    """Say that the job has ended; call after the commit. If the store is down its client waits in vain."""
    try:
        with get_redis_connection("default").pipeline() as pipe:
            pipe.lpush(_key(job_id), 1)
            pipe.expire(_key(job_id), _KEPT_SECONDS)
            pipe.execute()
    except RedisError as error:
        log.warning("Cannot tell that %s has ended: %s", job_id, error)


class _Waiting:
    """How many requests of this process wait, so that those that don't find a thread to serve them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Whether one more may wait meanwhile: half of the web threads do, at most."""
        with self._lock:
            may_wait = self._count < settings.WEB_THREADS // 2
            self._count += may_wait
        try:
            yield may_wait
        finally:
            with self._lock:
                self._count -= may_wait


_waiting = _Waiting()


def wait(job_id: str, seconds: float) -> bool:
    """Whether the end was told within `seconds`. Holds one of the pool's connections meanwhile.

    `False` at once where half of the web threads wait already, or the store is away.
    """
    with _waiting.place() as may_wait:
        return may_wait and _wait(job_id, seconds)


def _wait(job_id: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    try:
        store = get_redis_connection("default")
        while (left := deadline - time.monotonic()) > 0:
            # A timeout of 0 would mean for ever.
            if store.blpop([_key(job_id)], timeout=max(0.01, min(left, _ONE_WAIT_SECONDS))):
                return True
    except RedisError as error:
        log.warning("Cannot wait for %s: %s", job_id, error)
    return False


def _key(job_id: str) -> str:
    return f"kpjob:{job_id}:done"
