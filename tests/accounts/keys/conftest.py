import pytest

from accounts import api_keys
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
