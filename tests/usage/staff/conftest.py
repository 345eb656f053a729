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


@pytest.fixture
def another_editor(db):
    return member_of("Limits", "mia@example.com")


@pytest.fixture
def no_worker(monkeypatch):
    """Replays wait: there is nobody who would run them."""
    monkeypatch.setattr(running, "wake_worker", lambda: None)
