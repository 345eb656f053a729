"""What allauth's provider asks us: who we are, and what a service learns about a person."""

from collections.abc import Iterable
from typing import Any

from allauth.account.models import EmailAddress
from allauth.idp.oidc.adapter import DefaultOIDCAdapter
from allauth.idp.oidc.models import Client
from django.conf import settings

from accounts.identity import client_secrets
from accounts.models import User


class IdentityAdapter(DefaultOIDCAdapter):  # type: ignore[misc]
    """The issuer is `BASE_URL`, whatever the `Host` header says."""

    def get_issuer(self) -> str:
        return str(settings.BASE_URL)

    def generate_client_secret(self) -> str:
        return client_secrets.new_secret()

    def get_claims(
        self,
        purpose: str,
        user: User,
        client: Client,
        scopes: Iterable[str],
        email: str | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """`sub` for each scope; `name` for `profile`; for `email` a verified address or none.

        `email` is the address that the person chose on the consent page, if they had a choice.
        """
        claims: dict[str, Any] = {"sub": self.get_user_sub(client, user)}
        if "profile" in scopes and user.name:
            claims["name"] = user.name
        if "email" in scopes and (address := _verified(user, email)):
            claims |= {"email": address.email, "email_verified": True}
        return claims


def _verified(user: User, chosen: str | None) -> EmailAddress | None:
    """The address they chose, or their primary one; `None` if it is gone or was never verified."""
    verified = EmailAddress.objects.filter(user=user, verified=True)
    wanted = verified.filter(email=chosen) if chosen else verified.filter(primary=True)
    return wanted.first()
