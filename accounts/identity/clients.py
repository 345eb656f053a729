"""How the services that people may sign in to are told apart; the rest of them is a form of the admin."""

import secrets

from allauth.idp.oidc.models import Client
from django.db import transaction
from django.utils.text import slugify

from accounts import audit
from accounts.identity import client_secrets
from accounts.models import User


def new_id(name: str) -> str:
    """A client ID that says which service it is, such as `treehouse-5f0c19e2`; renaming doesn't change it."""
    return f"{slugify(name)[:40] or 'service'}-{secrets.token_hex(4)}"


def give_secret(client: Client) -> str:
    """A new one, to be shown once; saving the client is the caller's."""
    secret = client_secrets.new_secret()
    client.secret = client_secrets.digest(secret)
    return secret


@transaction.atomic
def replace_secret(client: Client, *, by: User, reason: str) -> str:
    """The former one is refused from now on. What people gave the service stays."""
    secret = give_secret(client)
    client.save(update_fields=["secret"])
    audit.record("replaced secret", client, by=by, after={"name": client.name}, reason=reason)
    return secret
