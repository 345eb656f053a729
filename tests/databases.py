"""Which database the tests are on, and how the processes they start are told of it or of another."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from urllib.parse import urlsplit

from django.conf import settings
from django.core import serializers
from django.db import connection, transaction
from django.db.models import Model
from django.test import TransactionTestCase

from tests.postgresql import create_database, drop_database

ON_POSTGRESQL = connection.vendor == "postgresql"


def of_the_tests() -> dict[str, str]:
    """The variables under which another process sees the tests' own rows, and takes the same keys."""
    name = str(connection.settings_dict["NAME"])
    return {
        "DATABASE_URL": _url(name) if ON_POSTGRESQL else f"sqlite:///{name}",
        "SECRET_KEY": settings.SECRET_KEY,
        "KEY_PEPPERS": ",".join(f"{version}:{key.hex()}" for version, key in settings.KEY_PEPPERS.items()),
    }


@contextmanager
def of_panels() -> Iterator[Callable[[], dict[str, str]]]:
    """Makes databases until its `with` block ends: each call gives a panel's variables for a new, empty one.

    None on SQLite, where it is a file in the panel's VAR_DIR, and secrets are made up beside it.
    """
    numbers = itertools.count(1)
    with ExitStack() as made:

        def make() -> dict[str, str]:
            if not ON_POSTGRESQL:
                return {}
            url = _url(f"{connection.settings_dict['NAME']}_panel_{next(numbers)}")
            drop_database(url)  # of a run that was killed
            made.callback(drop_database, url)
            return of_the_tests() | {"DATABASE_URL": create_database(url)}

        yield make


def give_seeded_rows_back_after_each_flush() -> None:
    """Django gives them back before each test that commits, and leaves none to a test that doesn't.

    Which of them comes first isn't ours to say where several processes divide the files among them.
    """
    creation = type(connection.creation)
    creation.deserialize_db_from_string = lambda self, rows: None
    flush = TransactionTestCase._fixture_teardown

    def flush_and_give_back(test: TransactionTestCase) -> None:
        flush(test)
        give_back_seeded_rows(connection._test_serialized_contents)

    TransactionTestCase._fixture_teardown = flush_and_give_back


def give_back_seeded_rows(rows: str) -> None:
    """What Django's `deserialize_db_from_string` does, with one INSERT a table instead of two for each row.

    They are read once: a test that commits would else wait for this longer than for most of what it tries.
    """
    with transaction.atomic():  # in which foreign keys may come before what they refer to
        for model, objects in _by_model(rows).items():
            model._base_manager.bulk_create(objects, ignore_conflicts=True)


@cache
def _by_model(rows: str) -> dict[type[Model], list[Model]]:
    found: dict[type[Model], list[Model]] = defaultdict(list)
    for one in serializers.deserialize("json", rows):
        found[type(one.object)].append(one.object)
        for name, others in (one.m2m_data or {}).items():
            field = one.object._meta.get_field(name)
            ours, theirs = f"{field.m2m_field_name()}_id", f"{field.m2m_reverse_field_name()}_id"
            through = field.remote_field.through
            found[through] += [through(**{ours: one.object.pk, theirs: other}) for other in others]
    return found


def _url(name: str) -> str:
    """Of another database on the same PostgreSQL."""
    return urlsplit(settings.ENV.DATABASE_URL)._replace(path=f"/{name}").geturl()
