"""Seals text, so that who reads the database learns nothing from it.

The key is made from SECRET_KEY for this purpose alone; with another SECRET_KEY no seal can be opened.
"""

from base64 import urlsafe_b64encode
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_PURPOSE = b"koalapanel: letters that wait to be sent"


class BrokenSeal(ValueError):
    """It was sealed under another SECRET_KEY, or has been changed since."""


def seal(text: str) -> str:
    return _cipher(settings.SECRET_KEY).encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Raises `BrokenSeal`."""
    try:
        return _cipher(settings.SECRET_KEY).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise BrokenSeal("It was sealed under another SECRET_KEY, or has been changed since.") from None


@lru_cache(maxsize=2)
def _cipher(secret_key: str) -> Fernet:
    key = HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret_key.encode())
    return Fernet(urlsafe_b64encode(key))
