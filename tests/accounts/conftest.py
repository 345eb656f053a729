"""People in their roles, each with a browser in which they are signed in."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts import api_keys
from accounts.models import User

PASSWORD = "correct horse battery"


def browser_of(user):
    """A test client; `person` is who is signed in."""
    client = Client()
    client.force_login(user)
    client.person = user
    return client


def member_of(group, email):
    user = User.objects.create_user(email, PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    return browser_of(user)


@pytest.fixture
def a_supporter(db):
    return member_of("Support", "sue@example.com")


@pytest.fixture
def a_limits_editor(db):
    return member_of("Limits", "lionel@example.com")


@pytest.fixture
def a_superuser(db):
    return browser_of(User.objects.create_superuser("root@example.com", PASSWORD))


@pytest.fixture
def a_customer(db):
    return browser_of(User.objects.create_user("olivia@example.com", PASSWORD))


@pytest.fixture
def a_key(a_customer):
    return api_keys.issue(a_customer.person, name="prod")[0]
