"""Seals text, so that who reads the database learns nothing from it.

Each purpose has a key of its own, made from SECRET_KEY; with another SECRET_KEY no seal can be opened.
"""

from base64 import urlsafe_b64encode
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class BrokenSeal(ValueError):
    """It was sealed under another SECRET_KEY or for another purpose, or has been changed since."""


def seal(purpose: str, text: str) -> str:
    return _cipher(settings.SECRET_KEY, purpose).encrypt(text.encode()).decode()


def unseal(purpose: str, sealed: str) -> str:
    """Raises `BrokenSeal`."""
    try:
        return _cipher(settings.SECRET_KEY, purpose).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise BrokenSeal("It was sealed under another SECRET_KEY, or has been changed since.") from None


@lru_cache(maxsize=8)
def _cipher(secret_key: str, purpose: str) -> Fernet:
    key = HKDF(SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret_key.encode())
    return Fernet(urlsafe_b64encode(key))
