"""What the tests of the doors share: what a client can tell of an answer, and the letters that are owed."""

import re
from contextlib import contextmanager
from urllib.parse import urlsplit

from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.messages import get_messages

from accounts.mail.letters import content_of
from accounts.models import Letter, User

ADDRESS = "ada@example.com"
PASSWORD = "eucalyptus leaf nine"
ANOTHER_PASSWORD = "koala bear in a tree"

# What can be behind an address.
ACCOUNTS = {
    "nobody": None,
    "verified": {},
    "not verified": {},
    "disabled": {"is_active": False},
    "without a password": {},
}


def make(account: str) -> User | None:
    """The account of `ADDRESS`, of one of the kinds in `ACCOUNTS`."""
    if ACCOUNTS[account] is None:
        return None
    password = None if account == "without a password" else PASSWORD
    user = User.objects.create_user(ADDRESS, password, **ACCOUNTS[account])
    if account != "not verified":
        user.vouch_for_address()
    return user


def told_by(response):
    """All that a client can tell of an answer: two that say the same are equal."""
    page = re.sub(r'(name="csrfmiddlewaretoken" value=)"\w+"', r"\1", response.content.decode())
    messages = [str(message) for message in get_messages(response.wsgi_request)]
    headers = {name: value for name, value in response.headers.items() if name != "Expires"}
    return response.status_code, headers, page, sorted(response.cookies), messages


def sign_in(client, **changes):
    return client.post("/accounts/login/", {"login": ADDRESS, "password": PASSWORD, **changes})


def sign_up(client, **changes):
    return client.post("/accounts/signup/", {"email": ADDRESS, "password1": PASSWORD, **changes})


def is_signed_in(client) -> bool:
    return client.get("/").status_code == 200


def letters() -> list[tuple[str, str]]:
    """The kind and the recipient of each letter that is owed, the oldest first."""
    return list(Letter.objects.order_by("pk").values_list("kind", "recipient"))


def last_letter(to: str = ADDRESS) -> str:
    """Its text."""
    return content_of(Letter.objects.filter(recipient=to).latest("pk")).text


def path_in_the_last_letter(to: str = ADDRESS) -> str:
    """Of the link that it is about."""
    link = re.search(r"https?://\S+/accounts/(?:confirm-email|password/reset/key)/\S+", last_letter(to))
    return urlsplit(link[0]).path


def verify(client, to: str = ADDRESS):
    """Open the link of the last letter, and say that the address is ours."""
    path = path_in_the_last_letter(to)
    assert client.get(path).status_code == 200
    return client.post(path)


@contextmanager
def hashes(monkeypatch):
    """Counts how often a password is hashed: nearly all that an answer costs."""
    counted = []
    encode = MD5PasswordHasher.encode
    with monkeypatch.context() as patch:
        patch.setattr(MD5PasswordHasher, "encode", lambda *given: counted.append(1) or encode(*given))
        yield counted
