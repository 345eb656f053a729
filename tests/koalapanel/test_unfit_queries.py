"""What stands in an address of the admin and can't be asked of the database is not there, and no error."""

import pytest

from accounts.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client):
    client.force_login(User.objects.create_superuser("root@example.com", "correct horse battery"))
    return client


@pytest.mark.parametrize(
    "address",
    [
        "/admin/accounts/auditentry/?who=%00",
        "/admin/accounts/auditentry/csv/?who=%00",
        "/admin/accounts/auditentry/csv/?at__year=99999999999",
        "/admin/accounts/apikey/?status__exact=%00",
        "/admin/images/job/%00/change/",
    ],
)
def test_no_address_of_the_admin_is_an_error(staff, address):
    assert staff.get(address).status_code in {200, 302, 404}


def test_an_error_of_ours_stays_one(staff, monkeypatch):
    def broken(*args, **kwargs):
        raise OverflowError

    monkeypatch.setattr("accounts.account.views.overview_of", broken)
    with pytest.raises(OverflowError):
        staff.get("/account/")
