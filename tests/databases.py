"""Which database the tests are on, and how the processes they start are told of it or of another."""

import itertools
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

from tests.postgresql import create_database

ON_POSTGRESQL = connection.vendor == "postgresql"

_numbers = itertools.count(1)


def of_the_tests() -> dict[str, str]:
    """The variables under which another process sees the tests' own rows, and takes the same keys."""
    name = str(connection.settings_dict["NAME"])
    return {
        "DATABASE_URL": _url(name) if ON_POSTGRESQL else f"sqlite:///{name}",
        "SECRET_KEY": settings.SECRET_KEY,
        "KEY_PEPPERS": ",".join(f"{version}:{key.hex()}" for version, key in settings.KEY_PEPPERS.items()),
    }


def of_a_new_panel() -> dict[str, str]:
    """The variables that give a panel an empty database of its own.

    None on SQLite, where it is a file in its VAR_DIR, and secrets are made up beside it.
    """
    if not ON_POSTGRESQL:
        return {}
    return of_the_tests() | {"DATABASE_URL": create_database(_url(f"panel_{next(_numbers)}"))}


def _url(name: str) -> str:
    """Of another database on the same PostgreSQL."""
    return urlsplit(settings.ENV.DATABASE_URL)._replace(path=f"/{name}").geturl()
