"""Services as staff keep them in the admin."""

import re

import pytest
from allauth.idp.oidc.models import Client as Service
from allauth.idp.oidc.models import Token

from accounts.identity import client_secrets
from accounts.models import AuditEntry, User
from tests.accounts.identity.conftest import CALLBACK

LIST = "/admin/allauth_idp_oidc/client/"


@pytest.fixture
def desk(client, db, valkey):
    """Staff at the admin."""
    client.force_login(User.objects.create_superuser("staff@example.com", "eucalyptus leaf nine"))
    return client


def form(**changes):
    return {
        "name": "Treehouse",
        "type": "confidential",
        "redirect_uris": CALLBACK,
        "post_logout_redirect_uris": "",
        "scopes": ["email"],
        "stays": "on",
        **changes,
    }


def create(desk, **changes):
    """The page with its secret, and the service."""
    page = desk.post(LIST + "add/", form(**changes))
    assert page.status_code == 200, page.content.decode()
    return page, Service.objects.get()


def change(desk, service, **changes):
    address = f"{LIST}{service.pk}/change/"
    read = re.search(r'name="as_read" value="([^"]+)"', desk.get(address).content.decode())[1]
    return desk.post(address, form(as_read=read, reason="They moved", **changes))


def secret_on(page):
    found = re.search(r'id="client-secret" value="([^"]+)"', page.content.decode())
    return found and found[1]


def test_a_new_services_secret_is_shown_once_and_kept_as_a_digest(desk):
    page, service = create(desk)
    secret = secret_on(page)
    assert client_secrets.matches(secret, service.secret)
    assert "no-store" in page["Cache-Control"]
    assert service.pk in page.content.decode()
    assert service.pk.startswith("treehouse-")
    for address in (LIST, f"{LIST}{service.pk}/change/", f"{LIST}{service.pk}/history/"):
        text = desk.get(address).content.decode()
        assert secret not in text
        assert service.secret not in text
    assert service.get_scopes() == ["openid", "email"]
    assert service.get_grant_types() == ["authorization_code", "refresh_token"]
    assert service.get_response_types() == ["code"]
    assert not service.allow_uri_wildcards


def test_a_program_that_people_have_gets_no_secret(desk):
    page, service = create(desk, type="public", stays="")
    assert secret_on(page) is None
    assert "PKCE" in page.content.decode()
    assert service.get_grant_types() == ["authorization_code"]


def test_each_action_is_in_the_audit_log_and_no_secret_is(desk):
    page, service = create(desk)
    change(desk, service, redirect_uris="https://new.example/callback", scopes=["email", "profile"])
    action = {"action": "replace_secret", "_selected_action": service.pk}
    asked = desk.post(LIST, action)
    assert "is refused from now on" in asked.content.decode()
    replaced = desk.post(LIST, {**action, "confirmed": "yes", "reason": "It leaked"})
    desk.post(f"{LIST}{service.pk}/delete/", {"post": "yes"})
    entries = list(AuditEntry.objects.filter(target_id=service.pk).order_by("id"))
    assert [entry.action for entry in entries] == ["created", "changed", "replaced secret", "deleted"]
    assert [entry.actor_label for entry in entries] == ["staff@example.com"] * 4
    assert entries[0].after["redirect_uris"] == CALLBACK
    assert entries[1].before == {"redirect_uris": CALLBACK, "scopes": "openid\nemail"}
    assert entries[1].after == {
        "redirect_uris": "https://new.example/callback",
        "scopes": "openid\nprofile\nemail",
    }
    assert entries[1].reason == "They moved"
    assert entries[2].reason == "It leaked"
    written = str([(entry.before, entry.after) for entry in entries])
    for secret in (secret_on(page), secret_on(replaced), service.secret):
        assert secret not in written
    assert not Service.objects.exists()


def test_a_replaced_secret_is_good_and_the_former_one_is_not(desk):
    page, service = create(desk)
    action = {"action": "replace_secret", "_selected_action": service.pk, "confirmed": "yes"}
    assert secret_on(desk.post(LIST, action)) is None  # without a reason
    replaced = desk.post(LIST, {**action, "reason": "It leaked"})
    assert "no-store" in replaced["Cache-Control"]
    service.refresh_from_db()
    assert client_secrets.matches(secret_on(replaced), service.secret)
    assert not client_secrets.matches(secret_on(page), service.secret)


@pytest.mark.parametrize(
    ("uri", "complaint"),
    [
        ("http://tree.example/callback", "use https"),
        ("https://tree.example/callback#top", "leave it out"),
        ("https://*.tree.example/callback", "no wildcards"),
        ("tree.example/callback", "write the whole address"),
        ("/callback", "write the whole address"),
        ("https:///callback", "write the whole address"),
        ("javascript:alert(1)", "write the whole address"),
        ("https://me:pass@tree.example/", "name and password"),
        ("https://tree.example/a b", "spaces"),
        ("https://tree.example\\@evil.example/", "spaces"),
        ("https://bäume.example/", "ASCII"),
        ("https://tree.example:port/", "no address"),
        ("https://[::1/", "no address"),
        ("https://tree.example/" + "a" * 500, "at most 500"),
        ("ftp://127.0.0.1/", "use https"),
        ("http://10.0.0.1/", "use https"),
        ("", "required"),
    ],
)
def test_an_address_that_would_be_a_danger_is_refused_with_the_reason(desk, uri, complaint):
    page = desk.post(LIST + "add/", form(redirect_uris=uri))
    assert complaint in page.content.decode()
    assert not Service.objects.exists()
    if uri:
        assert complaint in desk.post(LIST + "add/", form(post_logout_redirect_uris=uri)).content.decode()


@pytest.mark.parametrize(
    "uri",
    ["http://127.0.0.1/callback", "http://[::1]:4711/", "http://localhost/a", "https://tree.example/?a=b"],
)
def test_https_and_the_persons_own_machine_are_good_addresses(desk, uri):
    create(desk, redirect_uris=f"\n {uri} \r\n\r\n{uri}", post_logout_redirect_uris=uri)
    assert Service.objects.get().get_redirect_uris() == [uri]
    assert Service.objects.get().get_post_logout_redirect_uris() == [uri]


@pytest.mark.parametrize("changes", [{"type": "public"}, {"redirect_uris": "http://127.0.0.1/callback"}])
def test_people_are_always_asked_by_programs_they_have_themselves(desk, changes):
    page = desk.post(LIST + "add/", form(skip_consent="on", **changes))
    assert "can pretend to be it" in page.content.decode()
    assert not Service.objects.exists()
    create(desk, skip_consent="on")


def test_a_service_stays_of_its_type(desk):
    _, service = create(desk)
    change(desk, service, type="public", name="Tree")
    service.refresh_from_db()
    assert (service.type, service.name) == ("confidential", "Tree")


def test_nothing_is_saved_over_somebody_elses_change(desk):
    _, service = create(desk)
    address = f"{LIST}{service.pk}/change/"
    read = re.search(r'name="as_read" value="([^"]+)"', desk.get(address).content.decode())[1]
    change(desk, service, name="Tree")
    stale = desk.post(address, form(as_read=read, reason="Mine", name="House"))
    assert "changed after you opened the page" in stale.content.decode()
    assert Service.objects.get().name == "Tree"


def test_removing_a_service_makes_its_tokens_void_and_says_how_many(desk):
    _, service = create(desk)
    Token.objects.create(type=Token.Type.ACCESS_TOKEN, hash="h", client=service)
    page = desk.get(f"{LIST}{service.pk}/delete/").content.decode()
    assert "nobody can sign in to it any more" in page
    desk.post(f"{LIST}{service.pk}/delete/", {"post": "yes"})
    assert not Token.objects.exists()


def test_tokens_are_not_staffs_to_read(desk):
    assert desk.get("/admin/allauth_idp_oidc/token/").status_code == 404


def test_the_list_and_the_forms_open(desk):
    assert "0 clients" in desk.get(LIST).content.decode()
    assert desk.get(LIST + "add/").status_code == 200
