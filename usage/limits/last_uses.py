"""When secrets were last used, as the limit store keeps it until the worker has written it down.

Key `…{b}:used`: a sorted set of the primary keys of secrets, by the minute of their last use (its start, in
Unix seconds). Secrets are spread over the buckets by their primary key. What is written down leaves, so that
only what the worker has yet to do takes room.
"""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from itertools import groupby

from usage.limits.store import LimitStore, bucket_tag
from usage.spans import MINUTE_SECONDS
from usage.subjects import BUCKETS

FORGET = (files("usage.limits") / "forget_uses.lua").read_text()
KEPT_SECONDS = 2 * 86_400  # for a worker that was away
AT_A_TIME = 500


def bring(store: LimitStore, minutes: Mapping[int, int]) -> None:
    """Secrets, by primary key, were used in these Unix minutes; one earlier than is known is nothing.

    One round trip. Raises `redis.RedisError`.
    """
    pipeline = store.client.pipeline(transaction=False)
    for bucket, secrets in _by_bucket(minutes):
        key = _key(bucket)
        for first in range(0, len(secrets), AT_A_TIME):
            some = secrets[first : first + AT_A_TIME]
            uses = {str(secret): minutes[secret] * MINUTE_SECONDS for secret in some}
            pipeline.zadd(key, uses, gt=True)
        pipeline.expire(key, KEPT_SECONDS)
    pipeline.execute()


def waiting(store: LimitStore, most: int) -> dict[int, int]:
    """Last uses that aren't written down yet, the oldest of each bucket: primary key -> Unix seconds.

    At most `most` of a bucket. One round trip; raises `redis.RedisError`.
    """
    pipeline = store.client.pipeline(transaction=False)
    for bucket in range(BUCKETS):
        pipeline.zrange(_key(bucket), 0, most - 1, withscores=True)
    return {int(secret): int(at) for uses in pipeline.execute() for secret, at in uses}


def forget(store: LimitStore, written: Mapping[int, int]) -> None:
    """These are written down; those that were used again meanwhile stay. Raises `redis.RedisError`."""
    pipeline = store.client.pipeline(transaction=False)
    for bucket, secrets in _by_bucket(written):
        for first in range(0, len(secrets), AT_A_TIME):
            some = secrets[first : first + AT_A_TIME]
            words = [word for secret in some for word in (secret, written[secret])]
            pipeline.eval(FORGET, 1, _key(bucket), *words)
    pipeline.execute()


def _by_bucket(secrets: Iterable[int]) -> Iterable[tuple[int, list[int]]]:
    ordered = sorted(secrets, key=_bucket)
    return ((bucket, list(some)) for bucket, some in groupby(ordered, key=_bucket))


def _bucket(secret_id: int) -> int:
    return secret_id % BUCKETS


def _key(bucket: int) -> str:
    return f"{bucket_tag(bucket)}:used"
