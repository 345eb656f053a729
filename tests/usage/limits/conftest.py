"""The limiter's tests run against every server it must work on: Valkey, and Redis 7 where it is installed."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings

from accounts.tiers import Limits
from tests.servers import REDIS_SERVER, limit_store, valkey_binary
from tests.usage.clock import Clock
from usage.escalation.ladder import Ladder
from usage.limits import upkeep
from usage.limits.store import LimitStore
from usage.subjects import Subject


@pytest.fixture(scope="session", params=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "redis" and REDIS_SERVER is None:
        pytest.skip("redis-server is not installed")
    binary = valkey_binary() if request.param == "valkey" else REDIS_SERVER
    with limit_store(binary, Path(settings.VAR_DIR) / f"{request.param}.limits") as url:
        yield url


@pytest.fixture
def client(server: str) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(server, decode_responses=True)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


class NothingRemembered:
    """A memory of a panel that is new: every bucket is built empty, and the ladder is the contract's."""

    def __init__(self, ladder: Ladder | None = None) -> None:
        self.in_force = ladder or Ladder()

    def ladder(self) -> Ladder:
        return self.in_force

    def build(self, store: LimitStore, bucket: int) -> None:
        upkeep.build(store, bucket, secrets.token_hex(4), {}, [], self.in_force)


@pytest.fixture
def store(server: str, client: redis.Redis, clock: Clock) -> LimitStore:
    return LimitStore(server, clock=clock, timeout=2, memory=NothingRemembered())


@pytest.fixture
def subject() -> Callable[..., Subject]:
    def make(id: str = "k:1", **limits: int | None) -> Subject:
        numbers = dict.fromkeys(Limits._fields) | limits
        return Subject(id=id, limits=Limits(**numbers), tier="free", tier_revision=1, key_revision=1)

    return make


def left(decision):
    """What the minute and the day have left."""
    limits = decision.limits
    return tuple(
        None if limit is None else max(0, limit - used)
        for limit, used in ((limits.minute, decision.minute_count), (limits.day, decision.day_count))
    )
