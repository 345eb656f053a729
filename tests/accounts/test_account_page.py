"""The account page: what it tells, what its forms save, and where the navigation leads."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.test import Client

from accounts.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

PASSWORD = "eucalyptus leaf nine"


@pytest.fixture
def ada(client):
    ada = User.objects.create_user("ada@example.com", PASSWORD, name="Ada")
    ada.vouch_for_address()
    client.force_login(ada)
    return ada


def page(client):
    return client.get("/account/").content.decode()


def test_a_name_is_saved_in_one_line_and_said_to_be(client, ada):
    response = client.post("/account/profile/", {"name": "  Ada \n  King  "}, follow=True)
    assert response.redirect_chain == [("/account/", 302)]
    assert "Your name is saved." in response.content.decode()
    ada.refresh_from_db()
    assert ada.name == "Ada King"


def test_a_name_may_be_empty(client, ada):
    client.post("/account/profile/", {"name": ""})
    ada.refresh_from_db()
    assert ada.name == ""


@pytest.mark.parametrize("name", ["x" * 151, "x" * 10_000, "a\x00b"])
def test_a_name_that_no_row_can_keep_is_refused_beside_its_field(client, ada, name):
    response = client.post("/account/profile/", {"name": name})
    assert response.status_code == 200
    assert 'id="id_name_error"' in response.content.decode()
    ada.refresh_from_db()
    assert ada.name == "Ada"


def test_the_profile_form_changes_nothing_but_the_name(client, ada):
    client.post("/account/profile/", {"name": "Ada", "email": "eve@example.com", "is_staff": "on"})
    ada.refresh_from_db()
    assert (ada.email, ada.is_staff) == ("ada@example.com", False)


def test_mail_about_quotas_is_switched_off_and_on(client, ada):
    text = client.post("/account/notifications/", {}, follow=True).content.decode()
    assert "mail about quotas is off" in text
    assert not User.objects.get().wants_quota_emails
    client.post("/account/notifications/", {"wants_quota_emails": "on"})
    assert User.objects.get().wants_quota_emails
    assert "blocks and suspensions is always sent" in page(client)


def test_it_tells_which_second_factors_there_are(client, ada):
    assert "Set up two-factor" in page(client)
    TOTP.activate(ada, "JBSWY3DPEHPK3PXP")
    RecoveryCodes.activate(ada)
    Authenticator.objects.create(user=ada, type="webauthn", data={"name": "blue", "credential": {}})
    assert "Authenticator app, One security key; 10 recovery codes left." in " ".join(page(client).split())


def test_it_says_when_few_recovery_codes_are_left(client, ada):
    TOTP.activate(ada, "JBSWY3DPEHPK3PXP")
    codes = RecoveryCodes.activate(ada)
    for code in codes.generate_codes()[:6]:
        assert codes.validate_code(code)
    assert "Make new recovery codes" not in page(client)
    codes.validate_code(codes.get_unused_codes()[0])
    assert "3 recovery codes left" in page(client)
    assert "Make new recovery codes" in page(client)


def test_it_tells_of_no_codes_that_were_sealed_under_another_secret(client, ada, settings):
    TOTP.activate(ada, "JBSWY3DPEHPK3PXP")
    RecoveryCodes.activate(ada)
    settings.SECRET_KEY = "another"
    client.force_login(ada)
    assert "Authenticator app." in page(client)


@pytest.mark.parametrize(
    "path",
    ["", "profile/", "notifications/", "sessions/", "sessions/1/end/", "sessions/end-others/", "delete/"],
)
def test_nothing_of_it_is_for_strangers(client, path):
    for response in (client.get(f"/account/{path}"), client.post(f"/account/{path}", {})):
        assert response.status_code in (302, 405)
        if response.status_code == 302:
            assert response.headers["Location"].startswith(("/accounts/login/", "/accounts/reauthenticate/"))


@pytest.mark.parametrize("path", ["profile/", "notifications/", "sessions/end-others/", "delete/"])
def test_a_forged_post_changes_nothing(ada, path):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    assert client.post(f"/account/{path}", {"name": "Eve", "email": ada.email}).status_code == 403
    assert list(User.objects.values_list("name", "wants_quota_emails")) == [("Ada", True)]


def test_no_proxy_keeps_it(client, ada):
    for path in ("", "sessions/"):
        assert "no-store" in client.get(f"/account/{path}").headers["Cache-Control"]


def test_its_queries_are_few(client, ada, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        page(client)


def test_the_navigation_leads_to_every_page(client, ada):
    text = page(client)
    for address in ("/", "/keys/", "/account/", "/accounts/password/change/", "/accounts/2fa/"):
        assert f'href="{address}"' in text
    for address in ("/account/sessions/", "/account/services/", "/webhooks/", "/jobs/", "/contact/"):
        assert f'href="{address}"' in text
    assert 'href="/admin/"' not in text
    assert client.get("/accounts/sessions/").headers["Location"] == "/account/sessions/"


def test_whoever_waits_for_a_new_address_may_have_a_second_factor_and_the_reverse(client, ada):
    ada.emailaddress_set.create(email="new@example.com", verified=False, primary=False)
    TOTP.activate(ada, "JBSWY3DPEHPK3PXP")
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert client.get("/accounts/2fa/webauthn/add/").status_code == 200
    response = client.post("/accounts/email/", {"email": "newer@example.com", "action_add": ""})
    assert response.status_code == 302
    assert ada.emailaddress_set.filter(email="newer@example.com").exists()
