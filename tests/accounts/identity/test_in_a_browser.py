"""A service built with a library of its own signs people in: over HTTP, and in a real browser."""

import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from allauth.idp.oidc.models import Client as Service
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from authlib.oidc.core import CodeIDToken
from django.test import Client
from joserfc import jwt
from joserfc.jwk import KeySet
from playwright.sync_api import expect

from tests.accounts.identity.conftest import register
from tests.browser import assert_no_barriers, well_behaved

pytestmark = [pytest.mark.browser, pytest.mark.once, pytest.mark.django_db(transaction=True)]

NONCE = "only-once"
DESCRIPTION = "/.well-known/openid-configuration"


@pytest.fixture
def home(live_server, settings, valkey):
    settings.BASE_URL = live_server.url
    return live_server.url


@pytest.fixture
def treehouse_server():
    """Where Treehouse takes people back: it notes the address, and leads on to another host of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            is_return = self.path.startswith(("/callback", "/goodbye"))
            if is_return:
                came.append(f"http://127.0.0.1:{port}{self.path}")
            self.send_response(302 if is_return else 200)
            if is_return:
                self.send_header("Location", f"http://localhost:{port}/treehouse")
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", "34")
            self.end_headers()
            self.wfile.write(b"<title>Treehouse</title>You are in")

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    came, port = [], server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{port}", came
    server.shutdown()
    server.server_close()


class Library:
    """Treehouse's side: authlib, told nothing but the discovery address, its id and its secret."""

    def __init__(self, home, at, service, secret):
        self.facts = requests.get(home + DESCRIPTION, timeout=10).json()
        self.verifier = secrets.token_urlsafe(48)
        self.session = OAuth2Session(
            service.pk,
            secret,
            scope="openid profile email",
            redirect_uri=f"{at}/callback",
            code_challenge_method="S256",
        )

    def address(self):
        url, self.state = self.session.create_authorization_url(
            self.facts["authorization_endpoint"], nonce=NONCE, code_verifier=self.verifier
        )
        return url

    def tokens(self, came_back, **changes):
        return self.session.fetch_token(
            self.facts["token_endpoint"],
            authorization_response=came_back,
            state=self.state,
            **{"code_verifier": self.verifier, **changes},
        )

    def claims(self, id_token):
        """Of a token whose signature is verified by the published keys, and whose claims by the library."""
        keys = KeySet.import_key_set(requests.get(self.facts["jwks_uri"], timeout=10).json())
        decoded = jwt.decode(id_token, keys, algorithms=self.facts["id_token_signing_alg_values_supported"])
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            options={
                "iss": {"essential": True, "value": self.facts["issuer"]},
                "aud": {"essential": True, "value": self.session.client_id},
                "exp": {"essential": True},
            },
            params={"nonce": NONCE, "client_id": self.session.client_id},
        )
        claims.validate(now=int(time.time()))
        return claims


@pytest.fixture
def treehouse(home, treehouse_server):
    at, _ = treehouse_server
    service, secret = register(callback=f"{at}/callback")
    service.set_post_logout_redirect_uris([f"{at}/goodbye"])
    service.save()
    return Library(home, at, service, secret)


def sign_in(page):
    page.get_by_label("Email address").fill("ada@example.com")
    page.get_by_label("Password").fill("eucalyptus leaf nine")
    page.get_by_role("button", name="Sign in").click()


def signed_in(context, user, home):
    client = Client()
    client.force_login(user)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": home}])


def test_a_library_signs_a_person_in_and_verifies_who_it_is(page, home, ada, treehouse, treehouse_server):
    _, came = treehouse_server
    page.goto(treehouse.address())
    sign_in(page)
    expect(page.get_by_role("heading", name="Sign in to Treehouse?")).to_be_visible()
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_text("You are in")).to_be_visible()

    tokens = treehouse.tokens(came[-1])
    claims = treehouse.claims(tokens["id_token"])
    assert (claims["sub"], claims["iss"], claims["email"]) == (str(ada.pk), home, "ada@example.com")
    told = treehouse.session.get(treehouse.facts["userinfo_endpoint"]).json()
    assert told == {
        "sub": claims["sub"],
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "email_verified": True,
    }
    renewed = treehouse.session.refresh_token(
        treehouse.facts["token_endpoint"], refresh_token=tokens["refresh_token"]
    )
    assert treehouse.session.get(treehouse.facts["userinfo_endpoint"]).json() == told
    with pytest.raises(OAuthError, match="invalid_grant"):
        treehouse.tokens(came[-1])
    assert treehouse.session.get(treehouse.facts["userinfo_endpoint"]).status_code == 401
    assert renewed["access_token"] != tokens["access_token"]


def test_a_service_of_our_own_is_entered_by_the_sign_in_page_alone(page, ada, treehouse, treehouse_server):
    """Chromium holds redirects after the sign-in form to that page's `form-action`."""
    _, came = treehouse_server
    Service.objects.update(skip_consent=True)
    page.goto(treehouse.address())
    sign_in(page)
    expect(page.get_by_text("You are in")).to_be_visible()
    assert "id_token" in treehouse.tokens(came[-1])


def test_consent_works_without_scripts(browser, home, ada, treehouse, treehouse_server):
    _, came = treehouse_server
    context = browser.new_context(java_script_enabled=False)
    signed_in(context, ada, home)
    page = context.new_page()
    page.goto(treehouse.address())
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_text("You are in")).to_be_visible()
    assert "error=access_denied" in came[-1]
    page.goto(treehouse.address())
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_text("You are in")).to_be_visible()
    with pytest.raises(OAuthError, match="invalid_grant"):
        treehouse.tokens(came[-1], code_verifier="v" * 43)
    assert "id_token" in treehouse.tokens(came[-1])
    context.close()


def test_a_person_connects_disconnects_and_signs_out(page, home, ada, treehouse, treehouse_server):
    at, came = treehouse_server
    signed_in(page.context, ada, home)
    page.goto(treehouse.address())
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_text("You are in")).to_be_visible()
    hint = treehouse.tokens(came[-1])["id_token"]
    page.goto(f"{home}/account/services/")
    with well_behaved(page, home):
        assert_no_barriers(page)
        page.get_by_role("button", name="Disconnect Treehouse").click()
        expect(page.get_by_text("Treehouse no longer has access to your account.")).to_be_visible()
        expect(page.get_by_text("No service is connected")).to_be_visible()
    assert treehouse.session.get(treehouse.facts["userinfo_endpoint"]).status_code == 401
    address = f"{treehouse.facts['end_session_endpoint']}?id_token_hint={hint}"
    page.goto(f"{address}&post_logout_redirect_uri={at}/goodbye&state=bye")
    assert_no_barriers(page)
    page.get_by_role("button", name="Sign out", exact=True).last.click()
    expect(page.get_by_text("You are in")).to_be_visible()
    assert came[-1] == f"{at}/goodbye?state=bye"
    page.goto(f"{home}/account/services/")
    expect(page).to_have_url(f"{home}/accounts/login/?next=/account/services/")


def test_each_page_between_here_and_a_service_is_for_everybody(page, home, ada, treehouse):
    signed_in(page.context, ada, home)
    with well_behaved(page, home):
        page.goto(treehouse.address())
        assert_no_barriers(page)
        page.get_by_role("button", name="Allow").focus()
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Deny")).to_be_focused()
    page.goto(treehouse.address().replace("callback", "elsewhere"))
    expect(page.get_by_text("an address that it has not registered")).to_be_visible()
    assert_no_barriers(page)
