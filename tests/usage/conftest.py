from collections.abc import Callable

import pytest
import redis

from accounts import api_keys
from accounts.models import ApiKey, User
from tests.usage.clock import Clock
from usage.limits.store import limit_store


@pytest.fixture
def driven_clock(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The process's limit store, empty, on a clock that stands still."""
    clock = Clock()
    monkeypatch.setattr(limit_store(), "_clock", clock)
    monkeypatch.setattr(limit_store(), "_timeout", 2)
    return clock


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("olivia@example.com", "correct horse battery")


@pytest.fixture
def issue(owner: User) -> Callable[..., tuple[ApiKey, str]]:
    def make(**fields: object) -> tuple[ApiKey, str]:
        return api_keys.issue(fields.pop("owner", owner), name="prod", **fields)

    return make
