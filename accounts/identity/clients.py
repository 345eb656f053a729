"""What staff do to the services that people may sign in to: each action is written down, no secret is."""

from typing import Any

from allauth.idp.oidc.models import Client
from django.db import transaction

from accounts import audit
from accounts.identity import client_secrets
from accounts.models import User


def facts(client: Client) -> dict[str, Any]:
    """A client's settings as the audit log has them."""
    return {
        "name": client.name,
        "type": client.type,
        "scopes": client.get_scopes(),
        "redirect_uris": client.get_redirect_uris(),
        "post_logout_redirect_uris": client.get_post_logout_redirect_uris(),
        "grant_types": client.get_grant_types(),
        "skip_consent": client.skip_consent,
    }


@transaction.atomic
def create(client: Client, *, by: User) -> str | None:
    """Keep a new client; its secret, once, if it is one that can keep a secret."""
    secret = client_secrets.new_secret()
    # One that can't gets a digest of what nobody has seen.
    client.secret = client_secrets.digest(secret)
    client.save(force_insert=True)
    audit.record("created", client, by=by, after=facts(client))
    return secret if client.type == Client.Type.CONFIDENTIAL else None


@transaction.atomic
def change(client: Client, *, by: User) -> None:
    """Keep a client's new settings; they are in force at its next request."""
    former = facts(Client.objects.select_for_update().get(pk=client.pk))
    client.save()
    now = facts(client)
    changed = [name for name in now if now[name] != former[name]]
    if changed:
        before, after = ({name: told[name] for name in changed} for told in (former, now))
        audit.record("changed", client, by=by, before=before, after=after)


@transaction.atomic
def replace_secret(client: Client, *, by: User) -> str:
    """The new secret, once; the former one is refused from now on. What people gave the client stays."""
    secret = client_secrets.new_secret()
    client.secret = client_secrets.digest(secret)
    client.save(update_fields=["secret"])
    audit.record("replaced secret", client, by=by, after={"name": client.name})
    return secret


@transaction.atomic
def remove(client: Client, *, by: User) -> None:
    """Nobody can sign in to it any more, and the tokens it has are void."""
    audit.record("removed", client, by=by, before=facts(client))
    client.delete()
