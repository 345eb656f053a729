"""The cache that django-ratelimit counts in: ours, with its two steps made one."""

from typing import Any

from django_redis.cache import RedisCache


class CountsCache(RedisCache):  # type: ignore[misc]  # it has no types
    """django-ratelimit adds a count of 1, and increments the one that is there if it can't: two round trips
    for each request but the first. Here adding only notes how long a count shall live, and incrementing makes
    it or adds to it, in one round trip.

    For nothing else. Each thread has an instance of its own, as of every cache in Django.
    """

    _life: int

    def add(self, key: str, value: Any, timeout: Any = None, version: int | None = None) -> bool:
        self._life = timeout
        return False

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """The count with this request in it. Raises `redis.RedisError`."""
        name = self.client.make_key(key, version=version)
        # A transaction: a count that ended between the two would begin anew without an end.
        pipeline = self.client.get_client(write=True).pipeline(transaction=True)
        pipeline.set(name, 0, ex=self._life, nx=True)
        pipeline.incrby(name, delta)
        count: int = pipeline.execute()[1]
        return count
