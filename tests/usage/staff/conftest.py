"""Staff in their roles, and a customer."""

import pytest

from tests.accounts.conftest import (  # noqa: F401  (fixtures)
    a_customer,
    a_key,
    a_limits_editor,
    a_superuser,
    a_supporter,
    browser_of,
    member_of,
)
from usage.replay import running
from usage.staff import key_counts


@pytest.fixture
def another_editor(db):
    return member_of("Limits", "mia@example.com")


@pytest.fixture
def no_worker(monkeypatch):
    """Replays wait: there is nobody who would run them."""
    monkeypatch.setattr(running, "wake_worker", lambda: None)


@pytest.fixture(autouse=True)
def _keys_are_counted_each_time(monkeypatch):
    """What is remembered for a minute would be that of the test before."""
    monkeypatch.setattr(key_counts, "REMEMBERED_SECONDS", 0)
