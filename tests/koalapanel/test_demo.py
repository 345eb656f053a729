"""The sample accounts of `up --demo`, whichever database they are in."""

import pytest

from accounts import api_keys
from accounts.models import ApiKey, User
from koalapanel.demo import accounts

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _var_dir(settings, tmp_path):
    settings.VAR_DIR = tmp_path


def test_what_is_told_opens_the_accounts():
    for told in accounts.prepare():
        user = User.objects.get(email=told.email)
        assert user.check_password(told.password)
        assert user.emailaddress_set.get().verified
        assert api_keys.find(told.key).owner == user


def test_a_second_start_tells_the_same_and_makes_no_second_key():
    first = accounts.prepare()
    assert accounts.prepare() == first == accounts.kept_credentials()
    assert ApiKey.objects.count() == User.objects.count() == len(first)


def test_with_a_new_database_the_passwords_stay():
    first = accounts.prepare()
    User.objects.all().delete()
    again = accounts.prepare()
    assert [told.password for told in again] == [told.password for told in first]
    assert {told.key for told in again}.isdisjoint(told.key for told in first)
