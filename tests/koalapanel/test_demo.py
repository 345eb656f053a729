"""The sample accounts of `up --demo`, whichever database they are in."""

import pytest

from accounts import api_keys
from accounts.models import ApiKey, User
from koalapanel.demo import accounts, past
from koalapanel.demo.clients import MANNERS

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _without_a_past(settings, tmp_path, monkeypatch):
    settings.VAR_DIR = tmp_path
    monkeypatch.setattr(past, "write", lambda keys, now: None)


def test_what_is_told_opens_the_accounts():
    for told in accounts.prepare():
        user = User.objects.get(email=told.email)
        assert user.check_password(told.password)
        assert user.emailaddress_set.get().verified
        assert not told.key or api_keys.find(told.key).owner == user


def test_a_second_start_tells_the_same_and_makes_no_second_key():
    first = accounts.prepare()
    assert accounts.prepare() == first
    assert ApiKey.objects.count() == len([told for told in first if told.key])
    assert User.objects.count() == len(first)


def test_sample_clients_are_those_of_accounts_with_a_key():
    clients = [told for told in accounts.prepare() if told.key]
    assert accounts.kept_credentials() == clients
    assert {told.client for told in clients} < set(MANNERS)


def test_each_role_of_the_staff_has_somebody():
    accounts.prepare()
    staff = User.objects.filter(is_staff=True).values_list("email", "groups__name", "is_superuser")
    assert set(staff) == {
        ("admin@example.com", None, True),
        ("sue@example.com", "Support", False),
        ("lionel@example.com", "Limits", False),
    }


def test_the_table_says_who_signs_in_by_which_password_with_which_key_or_role():
    told = accounts.prepare()
    _, heads, *rows = accounts.as_table(told, "http://127.0.0.1:8000")
    assert heads.split() == ["sign", "in", "at", "password", "key"]
    assert [row.split()[:2] for row in rows] == [[one.email, one.password] for one in told]
    assert [row.split()[2] for row in rows[:3]] == [told[0].key, "(Support)", "(Limits)"]
    assert all(len(row) <= 90 for row in rows)


def test_with_a_new_database_the_passwords_stay():
    first = accounts.prepare()
    User.objects.all().delete()
    again = accounts.prepare()
    assert [told.password for told in again] == [told.password for told in first]
    assert {told.key for told in again if told.key}.isdisjoint(told.key for told in first)
