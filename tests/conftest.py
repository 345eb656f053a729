"""Fixtures that every test may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings

from koalapanel.env import store_socket
from tests.servers import limit_store, valkey_binary


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """An embedded Valkey where the settings expect it, for the whole session."""
    with limit_store(valkey_binary(), store_socket(Path(settings.VAR_DIR))) as url:
        yield url


@pytest.fixture
def valkey(valkey_server: str) -> Iterator[redis.Redis]:
    """The session's Valkey, empty."""
    client = redis.Redis.from_url(valkey_server)
    client.flushall()
    yield client
    client.close()
