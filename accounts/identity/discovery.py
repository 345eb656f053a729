"""What a service needs to know to sign people in here, for machines."""

from allauth.idp.oidc.adapter import get_adapter
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.identity import keys
from accounts.identity.scopes import SCOPES

# Seconds for which a service may keep the keys. A new one signs at once: who doesn't know it asks again.
JWKS_KEPT = 3600


@require_safe
def configuration(request: HttpRequest) -> JsonResponse:
    """OpenID Connect Discovery 1.0: what is there and nothing else, all of it below `BASE_URL`."""
    response = JsonResponse(
        {
            "issuer": get_adapter().get_issuer(),
            "authorization_endpoint": _address("authorization"),
            "token_endpoint": _address("token"),
            "userinfo_endpoint": _address("userinfo"),
            "jwks_uri": _address("jwks"),
            "revocation_endpoint": _address("revoke"),
            "end_session_endpoint": _address("logout"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "revocation_endpoint_auth_methods_supported": [
                "client_secret_basic",
                "client_secret_post",
                "none",
            ],
            "scopes_supported": list(SCOPES),
            "claims_supported": [
                *("iss", "sub", "aud", "exp", "iat", "nonce", "auth_time"),
                *("name", "email", "email_verified"),
            ],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [keys.ALGORITHM],
            "prompt_values_supported": ["none", "login", "consent"],
            "claims_parameter_supported": False,
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
            "authorization_response_iss_parameter_supported": True,
        }
    )
    response["Access-Control-Allow-Origin"] = "*"
    return response


@require_safe
def jwks(request: HttpRequest) -> JsonResponse:
    """The keys with which a service verifies what we sign."""
    response = JsonResponse({"keys": keys.published()})
    response["Access-Control-Allow-Origin"] = "*"
    response["Cache-Control"] = f"public, max-age={JWKS_KEPT}"
    return response


def _address(name: str) -> str:
    return f"{settings.BASE_URL}{reverse(f'idp:oidc:{name}')}"
