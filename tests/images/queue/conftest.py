from collections.abc import Callable, Iterator

import pytest
import redis

from images.models import AccountQueue
from images.queue import waking
from images.queue.pool import pool


@pytest.fixture
def wakes(store: redis.Redis) -> Iterator[Callable[[], int]]:
    """How many messages wait for the workers."""
    key = f"kpqueue:{waking.QUEUE}"
    store.delete(key)
    yield lambda: store.llen(key)
    store.delete(key)


@pytest.fixture(autouse=True)
def _pool_is_counted_anew() -> None:
    """The tests share a process, and with it what it counted within the last second."""
    pool.forget()


def numbers(job) -> tuple[int, int]:
    """How many jobs of this one's queue wait, and how many run, by its counts."""
    queue = AccountQueue.objects.get(pk=job.queue_id)
    return queue.queued, queue.running
