"""The provider: the authorization code flow with PKCE, refresh tokens, and nothing else."""

import re
from typing import Any

from allauth.idp.oidc.internal.oauthlib.server import generate_opaque_token
from allauth.idp.oidc.models import Client
from django.conf import settings
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749.endpoints import AuthorizationEndpoint, RevocationEndpoint, TokenEndpoint
from oauthlib.oauth2.rfc6749.errors import (
    InvalidRequestError,
    UnsupportedCodeChallengeMethodError,
    UnsupportedResponseTypeError,
)
from oauthlib.oauth2.rfc6749.tokens import BearerToken
from oauthlib.openid.connect.core.endpoints.userinfo import UserInfoEndpoint
from oauthlib.openid.connect.core.exceptions import RequestNotSupported, RequestURINotSupported
from oauthlib.openid.connect.core.grant_types import AuthorizationCodeGrant, RefreshTokenGrant

from accounts.identity.validator import Validator

_S256_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


class Tokens(BearerToken):  # type: ignore[misc]
    """Access tokens; refresh tokens for the services that may have them."""

    def create_token(self, request: Request, refresh_token: bool = False, **kwargs: Any) -> dict[str, Any]:
        may_stay = Client.GrantType.REFRESH_TOKEN in request.client.get_grant_types()
        token: dict[str, Any] = super().create_token(request, refresh_token and may_stay, **kwargs)
        return token


class Provider(AuthorizationEndpoint, TokenEndpoint, RevocationEndpoint, UserInfoEndpoint):  # type: ignore[misc]
    """oauthlib's endpoints with these grants alone; made anew for each request."""

    def __init__(self) -> None:
        validator = Validator()
        code = AuthorizationCodeGrant(validator)
        code.custom_validators.pre_auth.append(_check_parameters)
        tokens = Tokens(
            validator, generate_opaque_token, settings.IDP_OIDC_ACCESS_TOKEN_EXPIRES_IN, generate_opaque_token
        )
        AuthorizationEndpoint.__init__(
            self, default_response_type="code", response_types={"code": code}, default_token_type=tokens
        )
        TokenEndpoint.__init__(
            self,
            default_grant_type="authorization_code",
            grant_types={"authorization_code": code, "refresh_token": RefreshTokenGrant(validator)},
            default_token_type=tokens,
        )
        RevocationEndpoint.__init__(self, validator)
        UserInfoEndpoint.__init__(self, validator)


def _check_parameters(request: Request) -> dict[str, Any]:
    """Refuse what we don't do: what was ignored in silence, a service would rely on.

    oauthlib calls it once client and redirect URI are known to be good.
    """
    if getattr(request, "request", None) is not None:
        raise RequestNotSupported(request=request)
    if getattr(request, "request_uri", None) is not None:
        raise RequestURINotSupported(request=request)
    if request.response_type is not None and request.response_type != "code":
        raise UnsupportedResponseTypeError(request=request)
    if request.response_mode not in (None, "query"):
        raise InvalidRequestError(description="response_mode must be query.", request=request)
    if request.code_challenge is not None:
        if request.code_challenge_method != "S256":
            raise UnsupportedCodeChallengeMethodError(request=request)
        if not _S256_CHALLENGE.fullmatch(request.code_challenge):
            raise InvalidRequestError(description="code_challenge is no S256 challenge.", request=request)
    return {}
