"""Fixtures that every test may ask for."""

import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings

from accounts.endpoint_limits import limiter
from koalapanel.env import store_socket
from tests import browser, databases
from tests.mail_server import MailServer
from tests.servers import limit_store, valkey_binary
from usage.guard.local_hits import LocalHits

# Without its mark or one of these, pytest-django lets no test near a database.
DATABASE_FIXTURES = {"db", "transactional_db", "live_server", "django_db_setup", "new_database"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-tests", action="store_true", help="leave nothing out, on PostgreSQL either")


def pytest_configure() -> None:
    databases.give_seeded_rows_back_after_each_flush()
    # A SIGTERM ends the tests as Ctrl-C does: with every server they started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """An embedded Valkey where the settings expect it, for the whole session."""
    with limit_store(valkey_binary(), store_socket(Path(settings.VAR_DIR))) as url:
        yield url


@pytest.fixture
def valkey(valkey_server: str) -> Iterator[redis.Redis]:
    """The session's Valkey, empty; nor does this process remember what endpoint limits were in it."""
    client = redis.Redis.from_url(valkey_server)
    client.flushall()
    limiter.forget()
    yield client
    client.close()


@pytest.fixture
def mail_server(settings, valkey: redis.Redis) -> Iterator[MailServer]:
    """The mail server that is in the settings; the cache, where its rests are kept, is empty."""
    server = MailServer()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 5
    settings.BASE_URL = "https://panel.example.com"
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session", autouse=True)
def hits_wait() -> Iterator[None]:
    """Hits are brought to the store when a test says so: a thread would outlive the test that began it.

    For the whole session: between two tests a server's thread may still be busy with a request.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalHits, "begin", lambda self: None)
        yield


@pytest.fixture(scope="session")
def new_database() -> Iterator[Callable[[], dict[str, str]]]:
    """Makes a database for a panel of its own, and gives the variables that tell of it."""
    with databases.of_panels() as make:
        yield make


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    give_back_seeded_rows(items)
    begin_with_what_takes_long(items)
    if "long" not in config.option.markexpr:
        leave_out(config, items, lambda item: item.get_closest_marker("long") is not None)
    if databases.ON_POSTGRESQL and not config.getoption("--all-tests"):
        leave_out_what_a_database_makes_no_difference_to(config, items)


def give_back_seeded_rows(items: list[pytest.Item]) -> None:
    """Tests that commit give the rows that migrations seeded, such as the tiers, back to those after them.

    The mark has Django keep these rows; see `databases.give_seeded_rows_back_after_each_flush`.
    """
    for item in items:
        marker = item.get_closest_marker("django_db")
        transactional = {"transactional_db", "live_server"} & set(getattr(item, "fixturenames", ()))
        if transactional or (marker is not None and marker.kwargs.get("transaction")):
            kwargs = {**(marker.kwargs if marker else {}), "transaction": True, "serialized_rollback": True}
            item.add_marker(pytest.mark.django_db(**kwargs), append=False)


def begin_with_what_takes_long(items: list[pytest.Item]) -> None:
    """Files that are marked to take long, or start a panel, come first, then those with the most tests.

    A file stays in one process. Begun last, such a one has all the others wait for its end.
    """
    files: dict[Path, list[pytest.Item]] = defaultdict(list)
    for item in items:
        files[item.path].append(item)

    def takes_long(item: pytest.Item) -> bool:
        starts_a_panel = "new_database" in getattr(item, "fixturenames", ())
        return starts_a_panel or item.get_closest_marker("once") is not None

    rank = {path: (not any(map(takes_long, found)), -len(found), path) for path, found in files.items()}
    items.sort(key=lambda item: rank[item.path])


def leave_out_what_a_database_makes_no_difference_to(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What uses none, or is marked `once`, has passed or failed in the run on SQLite."""

    def makes_none(item: pytest.Item) -> bool:
        asked_for = DATABASE_FIXTURES & set(getattr(item, "fixturenames", ()))
        uses_one = asked_for or item.get_closest_marker("django_db")
        return not uses_one or item.get_closest_marker("once") is not None

    leave_out(config, items, makes_none)


def leave_out(
    config: pytest.Config, items: list[pytest.Item], is_left_out: Callable[[pytest.Item], bool]
) -> None:
    left_out = [item for item in items if is_left_out(item)]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


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
