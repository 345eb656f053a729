"""What a service, or somebody who pretends to be one, may send people here with."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
import time_machine
from allauth.idp.oidc.models import Client as Service
from django.test import Client
from django.urls import NoReverseMatch, reverse

from accounts.models import User
from tests.accounts.identity.conftest import (
    CALLBACK,
    GOODBYE,
    LOOPBACK,
    asked_of,
    redirected,
    register,
    sent_back,
    used_by,
)

UNREGISTERED = [
    "https://evil.example/callback",
    "https://tree.example/callback/",
    "https://tree.example/callback?next=evil",
    "https://tree.example/callback#fragment",
    "https://tree.example:8443/callback",
    "https://tree.example.evil.example/callback",
    "https://evil.example@tree.example/callback",
    "https://tree.example\\@evil.example/callback",
    "https://tree.example/callback/../evil",
    "https://TREE.example/callback",
    "http://tree.example/callback",
    "//tree.example/callback",
    "/callback",
    "javascript:alert(1)",
    "https://tree.example/callback\r\nSet-Cookie: a=b",
    "https://tree.example:port/callback",
    "https://[/callback",
    "",
    None,
]


@pytest.mark.parametrize("uri", UNREGISTERED)
def test_nobody_is_sent_to_an_address_that_is_not_registered(treehouse, uri):
    for browser in (treehouse.browser, Client()):
        treehouse.browser = browser
        refused = treehouse.ask(redirect_uri=uri)
        assert refused.status_code == 400
        assert "Location" not in refused
        text = refused.content.decode()
        assert "an address that it has not registered" in text
        assert "http-equiv" not in text
        assert 'class="kp-brand"' in text


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1/other",
        "http://127.0.0.1.evil.example:4711/callback",
        "http://127.0.0.1@evil.example/callback",
        "http://localhost:4711/callback",
        "https://127.0.0.1:4711/callback",
        "http://127.0.0.1:port/callback",
    ],
)
def test_any_port_of_the_persons_machine_is_not_any_address(app, uri):
    assert app.ask(redirect_uri=uri).status_code == 400


@pytest.mark.parametrize("client_id", ["nobody", "", "\x00", "é" * 200, "x" * 5000, None])
def test_a_service_that_nobody_knows_is_refused_on_a_page_of_ours(treehouse, client_id):
    refused = treehouse.ask(client_id=client_id)
    assert refused.status_code == 400
    assert "is not known to us" in refused.content.decode()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "none"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
        ({"request_uri": "https://tree.example/request.jwt"}, "request_uri_not_supported"),
        ({"scope": "openid admin"}, "invalid_scope"),
        ({"scope": "profile email"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "openid offline_access"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "9" * 400}, "invalid_request"),
    ],
)
def test_what_we_do_not_do_is_refused_and_the_service_is_told(treehouse, changes, error):
    told = redirected(treehouse.ask(**changes))
    assert told["error"] == error
    assert told["state"] == "st4te"
    assert told["iss"] == "http://127.0.0.1:8000"
    assert "code" not in told


def test_a_program_that_can_keep_no_secret_must_send_a_challenge(app):
    told = redirected(app.ask(code_challenge=None, code_challenge_method=None), LOOPBACK)
    assert told["error"] == "invalid_request"
    code = app.code()
    assert app.redeem(code, code_verifier=None).status_code == 400
    assert app.redeem(code, client_secret="made up").status_code == 401
    assert app.redeem(code).status_code == 200


def test_a_scope_that_a_service_may_not_ask_for_is_refused(treehouse):
    Service.objects.update(scopes="openid")
    assert redirected(treehouse.ask(scope="openid email"))["error"] == "invalid_scope"


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "scope", "response_type"])
def test_a_parameter_that_comes_twice_is_refused_on_a_page_of_ours(treehouse, name):
    query = urlencode([*treehouse.request().items(), (name, "other")])
    refused = treehouse.browser.get(f"/identity/o/authorize?{query}")
    assert refused.status_code == 400
    assert "a request that can't be read" in refused.content.decode()


@pytest.mark.parametrize(
    "query", ["", "%", "%zz", "a", "a=%ff%fe", "a=b&&", "\u00e9=\u00e9", "client_id[]=1", ";;"]
)
def test_garbage_is_refused_on_a_page_of_ours(treehouse, query):
    assert treehouse.browser.get(f"/identity/o/authorize?{query}").status_code == 400


def test_a_request_may_be_posted_and_is_read_as_if_it_were_an_address(treehouse):
    leads = Client(enforce_csrf_checks=True).post("/identity/o/authorize", treehouse.request())
    assert leads.status_code == 302
    assert leads["Location"].startswith("/identity/o/authorize?")
    assert "Sign in to Treehouse?" in treehouse.browser.get(leads["Location"]).content.decode()


def test_nothing_is_answered_that_is_not_counted(treehouse):
    assert treehouse.browser.head("/identity/o/authorize", treehouse.request()).status_code == 405


# --- The answer of the person ----------------------------------------------------------------------------


def test_the_answer_takes_the_forms_own_token(treehouse, ada):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    sent = strict.post("/identity/o/consent", {"asked": asked_of(treehouse.ask()), "action": "allow"})
    assert sent.status_code == 403


def test_the_answer_is_to_what_the_page_said(treehouse):
    page = treehouse.ask(scope="openid")
    asked = asked_of(page)
    told = sent_back(treehouse.answer(page, scope="openid email", redirect_uri="https://evil.example/"))
    tokens = treehouse.redeem(told["code"]).json()
    assert tokens["scope"] == "openid"
    for tampered in (asked[:-1], asked[5:], "", "\x00"):
        refused = treehouse.browser.post("/identity/o/consent", {"asked": tampered, "action": "allow"})
        assert refused.status_code == 400
        assert "open for too long" in refused.content.decode()


def test_a_page_that_stayed_open_for_an_hour_is_no_consent(treehouse):
    page = treehouse.ask()
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=61)):
        assert treehouse.answer(page).status_code == 400


def test_somebody_else_at_the_same_browser_is_asked_anew(treehouse):
    page = treehouse.ask()
    treehouse.browser.force_login(User.objects.create_user("eve@example.com"))
    asked_again = treehouse.answer(page)
    assert asked_again.status_code == 302
    assert "eve@example.com" in treehouse.browser.get(asked_again["Location"]).content.decode()
    treehouse.browser.logout()
    leads = treehouse.browser.get(treehouse.answer(page)["Location"])
    assert leads["Location"].startswith("/accounts/login/?next=/identity/o/authorize%3F")


def test_an_address_that_is_no_longer_registered_gets_no_code(treehouse):
    page = treehouse.ask()
    Service.objects.update(redirect_uris="https://new.example/callback")
    for action in ("allow", "deny"):
        refused = treehouse.answer(page, action=action)
        assert refused.status_code == 400
        assert "http-equiv" not in refused.content.decode()


def test_a_removed_service_gets_no_code(treehouse):
    page = treehouse.ask()
    Service.objects.all().delete()
    assert treehouse.answer(page).status_code == 400


# --- Who is signed in --------------------------------------------------------------------------------------


def test_whoever_is_not_signed_in_does_so_first_and_comes_back(treehouse):
    treehouse.browser = Client()
    door = treehouse.ask()
    assert door["Location"].startswith("/accounts/login/?next=/identity/o/authorize%3F")
    signed_in = treehouse.browser.post(
        door["Location"], {"login": "ada@example.com", "password": "eucalyptus leaf nine"}
    )
    page = treehouse.browser.get(signed_in["Location"])
    assert "Sign in to Treehouse?" in page.content.decode()


def test_prompt_none_shows_no_page_to_whoever_is_not_signed_in(treehouse):
    treehouse.browser = Client()
    assert redirected(treehouse.ask(prompt="none"))["error"] == "login_required"


def test_what_was_agreed_with_one_service_is_not_agreed_with_another(treehouse, ada):
    treehouse.tokens()
    other = used_by(ada, *register("Magpie"))
    assert redirected(other.ask(prompt="none"))["error"] == "consent_required"
    treehouse.tokens(scope="openid")
    assert "code" in redirected(treehouse.ask(prompt="none"))


def test_prompt_none_is_refused_for_more_than_was_agreed_to(treehouse):
    treehouse.tokens(scope="openid")
    assert redirected(treehouse.ask(prompt="none"))["error"] == "consent_required"


def test_a_program_on_the_persons_machine_is_never_let_in_without_asking(app):
    app.tokens()
    assert redirected(app.ask(prompt="none"), LOOPBACK)["error"] == "consent_required"


@pytest.mark.parametrize("changes", [{"prompt": "login"}, {"max_age": "0"}, {"max_age": "600"}])
def test_a_service_may_want_a_fresh_proof_of_who_it_is(treehouse, changes):
    treehouse.tokens()
    assert treehouse.ask(**changes).status_code == 200  # they have just signed in
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=11)):
        door = treehouse.ask(**changes)
        assert door["Location"].startswith("/accounts/reauthenticate/?next=/identity/o/authorize%3F")
        told = redirected(treehouse.ask(prompt="none", max_age="600"))
        assert told["error"] == "login_required"
        proof = treehouse.browser.post(door["Location"], {"password": "eucalyptus leaf nine"})
        page = treehouse.browser.get(proof["Location"])
        assert "Sign in to Treehouse?" in page.content.decode()


def test_a_hint_at_somebody_else_is_no_consent_of_this_person(treehouse):
    hint = treehouse.tokens()["id_token"]
    assert treehouse.ask(id_token_hint=hint).status_code == 200
    treehouse.browser.force_login(User.objects.create_user("eve@example.com"))
    assert redirected(treehouse.ask(id_token_hint=hint))["error"] == "login_required"
    assert redirected(treehouse.ask(id_token_hint="eyJ.garbage.é"))["error"] == "login_required"


def test_staff_without_a_second_factor_sign_in_nowhere_where_they_must_have_one(treehouse, ada, settings):
    settings.REQUIRE_STAFF_MFA = True
    assert treehouse.ask().status_code == 200
    page = treehouse.ask()
    User.objects.update(is_staff=True)
    for answer in (treehouse.ask(), treehouse.ask(prompt="none"), treehouse.answer(page)):
        assert answer.status_code == 302
        assert answer["Location"].startswith(reverse("mfa_index"))


# --- Signing out -------------------------------------------------------------------------------------------


def sign_out(caller, **asked):
    return caller.browser.get("/identity/o/logout?" + urlencode(asked))


def test_signing_out_asks_and_leads_on_to_a_registered_address(treehouse):
    tokens = treehouse.tokens()
    asked = {
        "id_token_hint": tokens["id_token"],
        "post_logout_redirect_uri": GOODBYE,
        "client_id": treehouse.service.pk,
        "state": "bye",
    }
    page = sign_out(treehouse, **asked)
    assert "<strong>Treehouse</strong> has signed you out" in page.content.decode()
    left = treehouse.browser.post(
        "/identity/o/logout", {**asked, "action": "logout", "csrfmiddlewaretoken": "x" * 64}
    )
    assert sent_back(left, GOODBYE) == {"state": "bye"}
    assert "_auth_user_id" not in treehouse.browser.session
    assert treehouse.userinfo(tokens["access_token"]).status_code == 401


def test_whoever_stays_signed_in_here_goes_back_all_the_same(treehouse):
    asked = {"post_logout_redirect_uri": GOODBYE, "client_id": treehouse.service.pk}
    left = treehouse.browser.post(
        "/identity/o/logout", {**asked, "action": "stay", "csrfmiddlewaretoken": "x" * 64}
    )
    assert sent_back(left, GOODBYE) == {}
    assert "_auth_user_id" in treehouse.browser.session


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/",
        CALLBACK,
        GOODBYE + "?next=https://evil.example/",
        GOODBYE + "/more",
        "https://tree.example.evil.example/goodbye",
        "https://evil.example@tree.example/goodbye",
        "javascript:alert(1)",
        "//evil.example/",
    ],
)
def test_signing_out_leads_to_no_other_address(treehouse, uri):
    hint = treehouse.tokens()["id_token"]
    for browser in (treehouse.browser, Client()):
        treehouse.browser = browser
        for asked in ({"client_id": treehouse.service.pk}, {"id_token_hint": hint}):
            refused = sign_out(treehouse, post_logout_redirect_uri=uri, **asked)
            assert refused.status_code == 400
            assert "http-equiv" not in refused.content.decode()


def test_without_a_service_nobody_is_sent_anywhere(treehouse):
    treehouse.browser = Client()
    for asked in ({}, {"client_id": "nobody"}, {"id_token_hint": "garbage"}, {"client_id": "\x00"}):
        left = sign_out(treehouse, post_logout_redirect_uri=GOODBYE, **asked)
        assert left.status_code in (302, 400)
        assert left.get("Location", "/accounts/login/") == "/accounts/login/"


def test_another_page_cannot_sign_anybody_out(treehouse, ada):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    strict.post("/identity/o/logout", {"action": "logout"})
    strict.post("/identity/o/logout", {"action": "logout", "csrfmiddlewaretoken": "x" * 64})
    strict.get("/identity/o/logout")
    assert "_auth_user_id" in strict.session


# --- What is told, and what isn't there --------------------------------------------------------------------


def test_discovery_tells_of_what_there_is_below_our_own_address(treehouse, settings):
    settings.BASE_URL = "https://koala.example"
    settings.ALLOWED_HOSTS = ["*"]
    answer = Client(HTTP_HOST="evil.example").get("/.well-known/openid-configuration")
    told = answer.json()
    assert told["issuer"] == "https://koala.example"
    assert "evil" not in answer.content.decode()
    assert told["response_types_supported"] == ["code"]
    assert told["grant_types_supported"] == ["authorization_code", "refresh_token"]
    assert told["code_challenge_methods_supported"] == ["S256"]
    for name in ("registration_endpoint", "device_authorization_endpoint", "introspection_endpoint"):
        assert name not in told
    for name, value in told.items():
        if name.endswith(("_endpoint", "_uri")):
            path = value.removeprefix("https://koala.example")
            assert path.startswith("/")
            assert Client().get(path).status_code != 404, name


def test_the_issuer_is_our_own_address_whatever_the_host_header_says(treehouse, settings):
    settings.ALLOWED_HOSTS = ["*"]
    treehouse.browser.defaults["HTTP_HOST"] = "evil.example"
    assert sent_back(treehouse.answer(treehouse.ask()))["iss"] == "http://127.0.0.1:8000"


@pytest.mark.parametrize("path", ["device", "api/device/code", "api/clients", "api/introspect"])
def test_the_flows_we_do_not_offer_are_not_there(client, db, path):
    assert client.post(f"/identity/o/{path}").status_code == 404
    with pytest.raises(NoReverseMatch):
        reverse("idp:oidc:device_authorization")


def test_only_public_halves_of_keys_are_published(treehouse):
    answer = Client().get("/.well-known/jwks.json")
    assert answer.json()["keys"]
    assert all(set(key) <= {"kty", "n", "e", "kid", "key_ops", "alg", "use"} for key in answer.json()["keys"])
