from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.test import Client

from accounts import api_keys
from accounts.endpoint_limits import limiter
from accounts.models import ApiKey, Tier, User


@pytest.fixture(autouse=True)
def _nothing_is_remembered(valkey, transactional_db) -> None:
    cache.clear()
    limiter.forget()


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("olivia@example.com", "correct horse battery")


@pytest.fixture
def issue(owner) -> Callable[..., tuple[ApiKey, str]]:
    def make(**fields) -> tuple[ApiKey, str]:
        return api_keys.issue(owner, **{"name": "tests", "tier": Tier.objects.get(slug="free"), **fields})

    return make


@pytest.fixture
def key(issue) -> tuple[ApiKey, str]:
    return issue(is_rehearsal=True)


@pytest.fixture
def actor(key) -> Client:
    """A client with a rehearsal key."""
    return Client(headers={"Authorization": f"Bearer {key[1]}"})


@pytest.fixture
def ordinary(issue) -> Client:
    return Client(headers={"Authorization": f"Bearer {issue()[1]}"})
