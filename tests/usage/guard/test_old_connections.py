"""Outside of Django's requests, connections are looked at once a second, and when one has failed."""

import time

import pytest
from django.db import connection

from usage.guard import old_connections
from usage.guard.old_connections import TRUSTED_SECONDS, leave_old_connections

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def used() -> None:
    """This thread's connection was looked at just now."""
    connection.ensure_connection()
    old_connections._thread.looked_at = time.monotonic()


def test_one_whose_time_is_over_is_left_within_a_second(used):
    connection.close_at = time.monotonic()
    leave_old_connections()
    assert connection.connection is not None
    old_connections._thread.looked_at -= TRUSTED_SECONDS
    leave_old_connections()
    assert connection.connection is None


def test_one_that_has_failed_is_looked_at_at_once(used):
    connection.errors_occurred = True
    leave_old_connections()
    assert not connection.errors_occurred
