"""Django's admin for accounts, tiers and keys, as staff use it."""

import re

import pytest
from django.db import connection

from accounts import api_keys
from accounts.models import ApiKey, AuditEntry, Letter, Tier, User
from tests.admin_pages import act, change, change_page

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client):
    client.force_login(User.objects.create_superuser("root@example.com", "correct horse battery"))
    return client


@pytest.fixture
def owner():
    return User.objects.create_user("olivia@example.com")


def test_a_new_key_is_shown_once_and_works(staff, owner):
    form = {
        "owner": owner.pk,
        "name": "prod",
        "tier": Tier.objects.get(slug="pro").pk,
        "minute_override": "7",
    }
    response = staff.post("/admin/accounts/apikey/add/", form)
    assert "no-store" in response.headers["Cache-Control"]
    text = re.search(r'value="(koala_\w+)"', response.content.decode())[1]
    key = api_keys.find(text)
    assert (key.owner, key.name, key.tier.slug, key.limits.minute) == (owner, "prod", "pro", 7)
    assert text not in staff.get(f"/admin/accounts/apikey/{key.pk}/change/").content.decode()


def test_a_tiers_limits_are_edited_and_may_be_emptied(staff):
    tier = Tier.objects.get(slug="free")
    assert change(staff, tier, minute="60", day="", queued="").status_code == 302
    assert Tier.objects.get(slug="free").limits == (60, None, 5, 3, None)


def test_a_limit_of_nothing_is_refused_with_a_reason(staff):
    tier = Tier.objects.get(slug="free")
    assert "greater than or equal to 1" in change(staff, tier, minute="0").content.decode()


def test_the_tiers_that_guests_and_new_keys_get_cant_be_deleted(staff):
    tier = Tier.objects.get(slug="anonymous")
    assert staff.post(f"/admin/accounts/tier/{tier.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_key_is_revoked_after_a_page_that_says_what_breaks(staff, owner):
    key, _ = api_keys.issue(owner, name="prod")
    page = act(staff, "revoke", key).content.decode()
    assert "whatever uses them stops working" in page
    assert f"{key} of olivia@example.com" in page
    assert ApiKey.objects.get().status == "active"
    assert f"Revoked: {key}." in act(staff, "revoke", key, reason="It leaked.").content.decode()
    assert ApiKey.objects.get().status == "revoked"
    assert "Revoked: It leaked." in staff.get(f"/admin/accounts/apikey/{key.pk}/history/").content.decode()
    again = act(staff, "revoke", key, reason="It leaked.")
    assert f"Revoked before: {key}." in again.content.decode()


def test_a_keys_status_isnt_edited_by_hand(staff, owner):
    key, _ = api_keys.issue(owner, name="prod")
    assert change(staff, key, name="new", status="revoked").status_code == 302
    assert (ApiKey.objects.get().name, ApiKey.objects.get().status) == ("new", "active")


def test_a_key_isnt_deleted_alone(staff, owner):
    key, _ = api_keys.issue(owner, name="prod")
    assert staff.post(f"/admin/accounts/apikey/{key.pk}/delete/", {"post": "yes"}).status_code == 403
    assert ApiKey.objects.exists()


def test_the_quotas_emails_are_switched_off_for_an_account(staff, owner):
    assert "mail at 80 % and 100 % of the day" in staff.get(change_page(owner)).content.decode().lower()
    assert change(staff, owner, without=["wants_quota_emails"]).status_code == 302
    owner.refresh_from_db()
    assert not owner.wants_quota_emails


def test_an_account_is_made_with_an_email_alone(staff):
    form = {"email": "New@Example.com", "name": "", "usable_password": "false"}
    staff.post("/admin/accounts/user/add/", form)
    assert not User.objects.get(email__iexact="new@example.com").has_usable_password()


@pytest.mark.parametrize("model", ["user", "tier", "apikey", "endpointlimit", "contactmessage", "auditentry"])
def test_every_list_opens(staff, owner, model):
    api_keys.issue(owner, name="prod")
    model = f"accounts/{model}"
    assert staff.get(f"/admin/{model}/").status_code == 200


class TestDeletingAnAccount:
    def test_its_keys_go_with_it_and_its_owner_is_told(self, staff, owner):
        _, text = api_keys.issue(owner, name="prod")
        page = staff.post(f"/admin/accounts/user/{owner.pk}/delete/")
        assert "prod" in page.content.decode()
        assert staff.post(f"/admin/accounts/user/{owner.pk}/delete/", {"post": "yes"}).status_code == 302
        assert api_keys.find(text) is None
        assert [entry.action for entry in AuditEntry.objects.order_by("pk")] == [
            "deleted with its account",
            "deleted account",
        ]
        assert {entry.actor_label for entry in AuditEntry.objects.all()} == {"root@example.com"}
        assert Letter.objects.get(recipient=owner.email).kind == "account_deleted"

    def test_many_go_as_one_does(self, staff, owner):
        other = User.objects.create_user("oscar@example.com")
        chosen = {"action": "delete_selected", "_selected_action": [owner.pk, other.pk], "post": "yes"}
        assert staff.post("/admin/accounts/user/", chosen).status_code == 302
        assert User.objects.get().email == "root@example.com"
        assert Letter.objects.count() == 2

    def test_the_last_superuser_stays(self, staff):
        root = User.objects.get()
        assert staff.post(f"/admin/accounts/user/{root.pk}/delete/", {"post": "yes"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": [root.pk], "post": "yes"}
        assert staff.post("/admin/accounts/user/", chosen).status_code == 403
        assert User.objects.get() == root


@pytest.mark.usefixtures("valkey")
def test_a_superuser_deletes_their_own_account_among_others_and_is_named_for_each(staff):
    User.objects.create_superuser("zoe@example.com")
    own, other = User.objects.get(email="root@example.com"), User.objects.create_user("sam@example.com")
    form = {"action": "delete_selected", "_selected_action": [own.pk, other.pk], "post": "yes"}
    assert staff.post("/admin/accounts/user/", form).status_code == 302
    assert User.objects.get().email == "zoe@example.com"
    entries = AuditEntry.objects.filter(action="deleted account")
    assert {entry.actor_label for entry in entries} == {"root@example.com"}
    connection.check_constraints()
