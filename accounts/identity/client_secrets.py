"""The secrets by which services prove who they are: random, shown once, kept as a digest."""

import hashlib
import secrets
from hmac import compare_digest

_ALGORITHM = "sha256$"


def new_secret() -> str:
    """32 random bytes, in letters that no way of sending them needs to escape."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """As it is kept. One round: 256 random bits can't be guessed, however cheap a guess is.

    The hasher for passwords takes some 0.3 s on purpose, and anybody may ask the token endpoint.
    """
    return _ALGORITHM + hashlib.sha256(secret.encode()).hexdigest()


def matches(secret: str, kept: str) -> bool:
    return compare_digest(digest(secret), kept)
