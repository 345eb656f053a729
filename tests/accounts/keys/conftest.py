import pytest

from accounts import api_keys
from accounts.keys import facts
from accounts.models import User


@pytest.fixture
def owner(db):
    return User.objects.create_user("olivia@example.com", "correct horse battery")


@pytest.fixture
def issue(owner):
    def make(**fields):
        return api_keys.issue(fields.pop("owner", owner), **{"name": "prod", **fields})

    return make


@pytest.fixture
def key(issue):
    return issue()[0]


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """What is known of keys besides what SQL says: `KeyFacts` by primary key. To begin with, nothing."""
    known = {}

    def provide(keys):
        assert all(key.tier.slug for key in keys)  # as who knows the limits reads it, at no query
        return {key.pk: known[key.pk] for key in keys if key.pk in known}

    monkeypatch.setattr(facts, "_provider", provide)
    return known
