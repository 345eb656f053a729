import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from django.test import Client

from accounts import api_keys
from accounts.models import ApiKey, User
from tests.usage.clock import Clock
from usage import tasks
from usage.escalation.ladder import Ladder
from usage.guard.local_hits import local_hits
from usage.guard.used_secrets import used_secrets
from usage.limits.breaker import Breaker
from usage.limits.store import limit_store
from usage.subjects import BUCKETS


@pytest.fixture(autouse=True)
def a_process_that_has_just_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of the test before: no open breaker, no edited ladder, no waiting hits."""
    monkeypatch.setattr(limit_store(), "breaker", Breaker())
    monkeypatch.setattr(limit_store(), "ladder", Ladder(revision=1))
    monkeypatch.setattr(tasks, "_away", set())
    local_hits()._start_over()
    used_secrets()._start_over()


@pytest.fixture
def built(db: None, valkey: redis.Redis) -> None:
    """Every bucket of the process's limit store has been built from SQL."""
    for bucket in range(BUCKETS):
        limit_store().memory.build(limit_store(), bucket)


@pytest.fixture
def driven_clock(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The process's limit store, empty, on a clock that stands still."""
    clock = Clock()
    monkeypatch.setattr(limit_store(), "_clock", clock)
    monkeypatch.setattr(limit_store(), "_timeout", 2)
    return clock


@pytest.fixture
def owner(db: None) -> User:
    olivia = User.objects.create_user("olivia@example.com", "correct horse battery")
    olivia.vouch_for_address()
    return olivia


@pytest.fixture
def issue(owner: User) -> Callable[..., tuple[ApiKey, str]]:
    def make(**fields: object) -> tuple[ApiKey, str]:
        return api_keys.issue(fields.pop("owner", owner), name="prod", **fields)

    return make


@pytest.fixture
def signed_in(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


@pytest.fixture
def lose_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From then on nobody listens where the limit store was: neither for decisions nor for pages."""

    def lose() -> None:
        gone = tmp_path / "gone.sock"
        monkeypatch.setattr(limit_store(), "url", f"unix://{gone}")
        monkeypatch.setattr(limit_store(), "client", redis.Redis(unix_socket_path=str(gone)))
        monkeypatch.setattr(limit_store(), "_clock", None)
        monkeypatch.setattr(limit_store(), "_threads", threading.local())
        monkeypatch.setattr(limit_store(), "breaker", Breaker())

    return lose
