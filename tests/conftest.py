"""Fixtures that every test may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings

from koalapanel.env import store_socket
from tests import browser
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that commit give the rows that migrations seeded, such as the tiers, back to those after them."""
    for item in items:
        marker = item.get_closest_marker("django_db")
        transactional = {"transactional_db", "live_server"} & set(getattr(item, "fixturenames", ()))
        if transactional or (marker is not None and marker.kwargs.get("transaction")):
            kwargs = {**(marker.kwargs if marker else {}), "transaction": True, "serialized_rollback": True}
            item.add_marker(pytest.mark.django_db(**kwargs), append=False)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, object]:
    """pytest-playwright starts Debian's chromium, not one of its own."""
    return browser.LAUNCH_ARGS


@pytest.fixture(scope="session")
def django_db_modify_db_settings(request: pytest.FixtureRequest, django_db_modify_db_settings: None) -> None:
    """Where a test wants a browser, Playwright starts before the database is made.

    Inside its event loop Django keeps other connections than outside, and the one that made the database is
    the only one that can give back the rows that migrations seeded.
    """
    if any("playwright" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("playwright")
