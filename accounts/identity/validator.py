"""The rules of our provider: allauth's, and stricter where a standard asks for it.

Each override says what it adds. What happens between these calls: `oauthlib.oauth2.rfc6749.grant_types`.
"""

import hashlib
from datetime import timedelta
from typing import Any

from allauth.core import context
from allauth.core.internal.httpkit import extract_basic_auth
from allauth.idp.oidc.adapter import get_adapter
from allauth.idp.oidc.internal.oauthlib.request_validator import OAuthLibRequestValidator
from allauth.idp.oidc.internal.oauthlib.utils import get_validator_context
from allauth.idp.oidc.models import Client, Token
from django.conf import settings
from django.utils import timezone
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749.errors import InvalidGrantError

from accounts.identity import client_secrets, grants, keys
from accounts.identity.redirect_uris import is_loopback, is_registered


class Validator(OAuthLibRequestValidator):  # type: ignore[misc]
    """Asked by oauthlib at each step of a request."""

    # --- Who is asking -----------------------------------------------------------------------------------

    def _lookup_client(self, request: Request, client_id: object) -> Client | None:
        """PostgreSQL refuses text with a NUL character, with an error."""
        if not isinstance(client_id, str) or "\x00" in client_id:
            return None
        return super()._lookup_client(request, client_id)

    def authenticate_client(self, request: Request, *args: Any, **kwargs: Any) -> bool:
        """Against the digest of a secret; see `client_secrets`."""
        client_id, secret = extract_basic_auth(request.headers)
        if client_id is None:
            client_id, secret = request.client_id, request.client_secret
        client = self._lookup_client(request, client_id)
        if client is None or client.type != Client.Type.CONFIDENTIAL or not isinstance(secret, str):
            return False
        if request.client_id not in (None, client.id) or not client_secrets.matches(secret, client.secret):
            return False
        self._use_client(request, client)
        return True

    # --- What it may ask for -----------------------------------------------------------------------------

    def validate_redirect_uri(
        self, client_id: str, redirect_uri: str, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Character for character (RFC 9700, 2.1): allauth lets clients add to the query."""
        return is_registered(redirect_uri, request.client.get_redirect_uris())

    def validate_scopes(
        self, client_id: str, scopes: list[str], client: Client, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Signing people in is all there is to ask for: never without `openid`."""
        return "openid" in scopes and set(scopes) <= set(request.client.get_scopes())

    def validate_silent_authorization(self, request: Request) -> bool:
        """What the person gave this service before; allauth counts what they gave any service.

        A program on the person's machine can't prove that it is the one they agreed to (RFC 8252, 8.6).
        """
        if is_loopback(request.redirect_uri):
            return False
        if request.client.skip_consent:
            return True
        given = grants.in_force(context.request.user).filter(client=request.client)
        scopes = {scope for token in given for scope in token.get_scopes()}
        return set(request.scopes) <= scopes

    def validate_user_match(
        self, id_token_hint: str | None, scopes: list[str], claims: object, request: Request
    ) -> bool:
        """Whoever isn't signed in yet is asked again afterwards. `claims` isn't ours to answer: ignored."""
        user = context.request.user
        if not id_token_hint or not user.is_authenticated:
            return True
        hint = keys.claims_of_hint(id_token_hint, audience=request.client.id)
        return hint is not None and hint.get("sub") == get_adapter().get_user_sub(request.client, user)

    # --- Codes: kept for a minute in the cache, under their digest ---------------------------------------

    def save_authorization_code(
        self, client_id: str, code: dict[str, Any], request: Request, *args: Any, **kwargs: Any
    ) -> None:
        kept = {**code, "code": _digest(code["code"]), "auth_time": request.auth_time}
        super().save_authorization_code(client_id, kept, request)

    def _lookup_authorization_code(
        self, request: Request, client_id: str, code: str
    ) -> dict[str, Any] | None:
        found: dict[str, Any] | None = super()._lookup_authorization_code(request, client_id, _digest(code))
        return found

    def validate_code(
        self, client_id: str, code: str, client: Client, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """A code that was used before takes back what it gave. A verifier without a challenge is refused.

        The latter is a sign that somebody cut the challenge out of the first request (RFC 9700, 4.8.2).
        """
        if not super().validate_code(client_id, _digest(code), client, request):
            grants.end_by_code(_digest(code), client)
            return False
        kept = self._lookup_authorization_code(request, client_id, code)
        return bool(kept and (kept.get("pkce") or request.code_verifier is None))

    def invalidate_authorization_code(
        self, client_id: str, code: str, request: Request, *args: Any, **kwargs: Any
    ) -> None:
        super().invalidate_authorization_code(client_id, _digest(code), request)

    # --- Tokens: kept as digests, each with the grant it is part of --------------------------------------

    def save_bearer_token(self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any) -> None:
        """Raises `InvalidGrantError` for the second of two requests with the same code at the same time."""
        ctx = get_validator_context()
        auth_time = self._auth_time(request)
        if ctx.refresh_token is not None:
            grant = grants.grant_of(ctx.refresh_token)
            grants.spend(ctx.refresh_token)
        else:
            grant = grants.use_code(_digest(request.code), request.client, request.user)
            if grant is None:
                grants.end_by_code(_digest(request.code), request.client)
                raise InvalidGrantError(request=request)
        data = {"grant": grant, "auth_time": auth_time} | ({"email": ctx.email} if ctx.email else {})
        lifetimes = {
            Token.Type.ACCESS_TOKEN: token["expires_in"],
            Token.Type.REFRESH_TOKEN: settings.IDP_OIDC_REFRESH_TOKEN_EXPIRES_IN,
        }
        values = {
            Token.Type.ACCESS_TOKEN: token["access_token"],
            Token.Type.REFRESH_TOKEN: token.get("refresh_token"),
        }
        now = timezone.now()
        for kind, value in values.items():
            if value is None:
                continue
            row = Token(type=kind, client=request.client, user=request.user, data=dict(data), created_at=now)
            row.expires_at = now + timedelta(seconds=lifetimes[kind])
            row.set_value(value)
            # A refresh token keeps what the person agreed to, also where the service asks for less of it now.
            is_narrowed = kind == Token.Type.REFRESH_TOKEN and ctx.refresh_token is not None
            row.set_scopes(ctx.refresh_token.get_scopes() if is_narrowed else request.scopes)
            row.save()

    def validate_refresh_token(
        self, refresh_token: str, client: Client, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """One that was used before takes back what its grant gave: one of its two users has stolen it."""
        found = (
            Token.objects.select_for_update()
            .by_value(refresh_token)
            .filter(type=Token.Type.REFRESH_TOKEN, client=client)
            .first()
        )
        if found is None or found.expires_at <= timezone.now() or not found.user.is_active:
            return False
        if grants.is_spent(found):
            grants.end_by_token(found)
            return False
        request.user = found.user
        ctx = get_validator_context()
        ctx.refresh_token, ctx.email = found, found.get_scope_email()
        return True

    def revoke_token(
        self, token: str, token_type_hint: str | None, request: Request, *args: Any, **kwargs: Any
    ) -> None:
        """The whole grant, and a service's own tokens alone (RFC 7009, 2.1); allauth revokes anybody's."""
        for found in Token.objects.by_value(token).filter(client=request.client):
            grants.end_by_token(found)

    def finalize_id_token(
        self, id_token: dict[str, Any], token: dict[str, Any], token_handler: object, request: Request
    ) -> str:
        """Adds to `aud`, `iat`, `nonce` and `at_hash`, which oauthlib has put in, and signs it all.

        `auth_time` is for services that send `max_age`.
        """
        adapter = get_adapter()
        email = get_validator_context().email
        return keys.sign(
            {
                **id_token,
                "iss": adapter.get_issuer(),
                "exp": id_token["iat"] + settings.IDP_OIDC_ID_TOKEN_EXPIRES_IN,
                "auth_time": self._auth_time(request),
                **adapter.get_claims("id_token", request.user, request.client, request.scopes, email=email),
            }
        )

    def _auth_time(self, request: Request) -> int:
        """When the person signed in, in Unix seconds: of a code, or of the refresh token that came of it."""
        refresh_token = get_validator_context().refresh_token
        if refresh_token is not None:
            return int(refresh_token.data["auth_time"])
        kept = self._lookup_authorization_code(request, request.client_id, request.code)
        if kept is None:  # its minute has just passed
            raise InvalidGrantError(request=request)
        return int(kept["code"]["auth_time"])


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
