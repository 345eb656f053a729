from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings

from accounts.tiers import Limits
from tests.servers import REDIS_SERVER, limit_store, valkey_binary
from tests.usage.clock import Clock
from tests.usage.escalation.engines import Engine, RealEngine, Twin
from tests.usage.limits.conftest import NothingRemembered
from usage.escalation.ladder import Ladder
from usage.limits.store import LimitStore


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session", params=["the twin", "valkey", "redis"])
def server(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Where the engine is; the twin is nowhere."""
    if request.param == "the twin":
        yield None
        return
    if request.param == "redis" and REDIS_SERVER is None:
        pytest.skip("redis-server is not installed")
    binary = valkey_binary() if request.param == "valkey" else REDIS_SERVER
    with limit_store(binary, Path(settings.VAR_DIR) / f"{request.param}.ladder") as url:
        yield url


@pytest.fixture
def engine_of(server: str | None, clock: Clock) -> Callable[..., Engine]:
    """Makes the subject of a test, and with it an engine that knows of nobody else."""

    def make(subject_id: str = "k:1", minute: int | None = 60, **limits: int | None) -> Engine:
        numbers = Limits(**dict.fromkeys(Limits._fields) | {"minute": minute} | limits)
        if server is None:
            return Twin(subject_id, numbers, Ladder(), clock)
        redis.Redis.from_url(server).flushall()
        store = LimitStore(server, clock=clock, timeout=2, memory=NothingRemembered())
        return RealEngine(store, subject_id, numbers, Ladder(), clock)

    return make
