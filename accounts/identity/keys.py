"""Signs ID tokens, and tells ours from others'.

allauth does the same, and reads the private key from its PEM each time, which takes 50 ms of a processor: for
each token, and for whoever asks for the public keys or brings a hint.
"""

from functools import lru_cache
from typing import Any

import jwt
from allauth.core.internal.jwkkit import load_jwk_from_pem
from allauth.idp.oidc.adapter import get_adapter
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

ALGORITHM = "RS256"


def sign(claims: dict[str, Any]) -> str:
    """A JWT, by the key that signs now."""
    jwk, key = _read(get_adapter().get_signing_key().pem)
    return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": jwk["kid"]})


def published() -> list[dict[str, Any]]:
    """The public halves of all keys, as JWKs: of former ones as well, which signed what still counts."""
    return [
        {**_read(key.pem)[0], "use": "sig", "alg": ALGORITHM}
        for key in get_adapter().list_private_keys(is_active=True)
    ]


def claims_of_hint(token: str, audience: str | None = None) -> dict[str, Any] | None:
    """What a token of ours says, however old it is: it hints at who signed in. `None` if it isn't ours."""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        for key in get_adapter().list_private_keys(is_active=True):
            jwk, private = _read(key.pem)
            if jwk["kid"] == kid:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    private.public_key(),
                    algorithms=[ALGORITHM],
                    issuer=get_adapter().get_issuer(),
                    audience=audience,
                    options={"verify_exp": False, "verify_aud": audience is not None},
                )
                return claims
    except (jwt.PyJWTError, ValueError):
        pass
    return None


@lru_cache(maxsize=16)
def _read(pem: str) -> tuple[dict[str, Any], RSAPrivateKey]:
    read: tuple[dict[str, Any], RSAPrivateKey] = load_jwk_from_pem(pem)
    return read
