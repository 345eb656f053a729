"""What superusers do about how people sign in."""

import json

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession

from accounts.models import AuditEntry
from tests.admin_pages import change, change_page, list_page

pytestmark = pytest.mark.django_db


@pytest.fixture
def a_second_factor(a_customer):
    return Authenticator.objects.create(
        user=a_customer.person, type="totp", data={"secret": "JBSWY3DPEHPK3PXP"}
    )


def test_a_lost_second_factor_is_deleted_and_nobody_reads_what_was_in_it(a_superuser, a_second_factor):
    for page in (list_page(Authenticator), change_page(a_second_factor)):
        text = a_superuser.get(page).content.decode()
        assert "olivia@example.com" in text
        assert "JBSWY3DPEHPK3PXP" not in text
    assert a_superuser.post(change_page(a_second_factor), {"data": "{}", "reason": "x"}).status_code == 403
    page = f"{list_page(Authenticator)}{a_second_factor.pk}/delete/"
    assert a_superuser.post(page, {"post": "yes"}).status_code == 302
    assert not Authenticator.objects.exists()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.before["user"], entry.before["type"]) == (
        "deleted",
        "olivia@example.com",
        "totp",
    )
    assert "JBSWY3DPEHPK3PXP" not in json.dumps(entry.before)


def test_an_address_is_verified_by_hand_and_that_is_written_down(a_superuser, a_customer):
    address = EmailAddress.objects.create(user=a_customer.person, email=a_customer.person.email, primary=True)
    assert change(a_superuser, address, reason="They wrote to us.", verified="on").status_code == 302
    entry = AuditEntry.objects.get()
    assert (entry.before, entry.after) == ({"verified": False}, {"verified": True})


def test_no_role_sees_any_of_it_and_nobody_a_sessions_key(a_supporter, a_limits_editor, a_superuser):
    for client in (a_supporter, a_limits_editor):
        for model in (EmailAddress, Authenticator):
            assert client.get(list_page(model)).status_code == 403
    assert a_superuser.get(list_page(UserSession)).status_code == 404
