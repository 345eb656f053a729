import base64
import hashlib
import html
import re
import secrets
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from allauth.account.models import EmailAddress
from allauth.idp.oidc.models import Client as Service
from django.test import Client

from accounts.identity import clients
from accounts.models import User

CALLBACK = "https://tree.example/callback"
LOOPBACK = "http://127.0.0.1:4711/callback"
GOODBYE = "https://tree.example/goodbye"


@pytest.fixture
def ada(db):
    user = User.objects.create_user("ada@example.com", "eucalyptus leaf nine", name="Ada Lovelace")
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def register(name="Treehouse", type=Service.Type.CONFIDENTIAL, stays=True, callback=CALLBACK):
    """A service as staff make one, and its secret."""
    made = Service(id=clients.new_id(name), name=name, type=type)
    made.set_scopes(["openid", "profile", "email"])
    made.set_redirect_uris([callback])
    made.set_post_logout_redirect_uris([GOODBYE])
    made.set_grant_types(["authorization_code", *(["refresh_token"] if stays else [])])
    secret = clients.give_secret(made)
    made.save()
    return made, secret if type == Service.Type.CONFIDENTIAL else None


@dataclass
class Caller:
    """A service on its side of the wire, and the browser of a person who uses it."""

    service: Service
    secret: str | None
    callback: str = CALLBACK
    browser: Client = field(default_factory=Client)
    wire: Client = field(default_factory=Client)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def challenge(self):
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def request(self, **changes):
        """The parameters of an authorization request; `None` leaves one out."""
        asked = {
            "response_type": "code",
            "client_id": self.service.pk,
            "redirect_uri": self.callback,
            "scope": "openid profile email",
            "state": "st4te",
            "nonce": "n0nce",
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def ask(self, **changes):
        return self.browser.get("/identity/o/authorize?" + urlencode(self.request(**changes)))

    def answer(self, page, action="allow", **more):
        return self.browser.post("/identity/o/consent", {"asked": asked_of(page), "action": action, **more})

    def code(self, **changes):
        """One that was asked for and given."""
        return sent_back(self.answer(self.ask(**changes)), self.callback)["code"]

    def tokens(self, **changes):
        """What a code of its own becomes."""
        return self.redeem(self.code(**changes)).json()

    def redeem(self, code, /, **changes):
        """The token endpoint's answer."""
        asked = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.callback,
            "code_verifier": self.verifier,
            **changes,
        }
        return self.post("token", asked)

    def refresh(self, token, **changes):
        return self.post("token", {"grant_type": "refresh_token", "refresh_token": token, **changes})

    def revoke(self, token):
        return self.post("revoke", {"token": token})

    def post(self, where, asked):
        asked = {name: value for name, value in asked.items() if value is not None}
        headers = {}
        if self.secret is None:
            asked.setdefault("client_id", self.service.pk)
        else:
            pair = base64.b64encode(f"{self.service.pk}:{self.secret}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        return self.wire.post(f"/identity/o/api/{where}", asked, headers=headers)

    def userinfo(self, token):
        return self.wire.get("/identity/o/api/userinfo", headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def treehouse(valkey, ada):
    """A service that can keep a secret, and Ada at her browser."""
    return used_by(ada, *register())


@pytest.fixture
def app(valkey, ada):
    """A program on Ada's own machine, which can't keep one."""
    made, none = register("Leafcutter", Service.Type.PUBLIC, callback=LOOPBACK)
    return used_by(ada, made, none, callback=LOOPBACK)


def used_by(person, service, secret, callback=CALLBACK):
    caller = Caller(service, secret, callback)
    caller.browser.force_login(person)
    return caller


def asked_of(page):
    return re.search(r'name="asked" value="([^"]+)"', page.content.decode())[1]


def sent_back(page, to=CALLBACK):
    """What the page that leads on tells the service at `to`."""
    assert page.status_code == 200, page.content.decode()
    leads = html.unescape(
        re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page.content.decode())[1]
    )
    return told_at(leads, to)


def redirected(response, to=CALLBACK):
    assert response.status_code == 302, response.content.decode()
    return told_at(response["Location"], to)


def told_at(address, to):
    parts = urlsplit(address)
    assert parts._replace(query="").geturl() == to
    return dict(parse_qsl(parts.query))
