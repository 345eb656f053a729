"""The text of an API key: its format, how one is issued, how a presented one is recognised.

`koala_` + 32 base62 characters + 6 of checksum: a secret scanner, or a server that was sent a typing error,
can tell a real one offline. The checksum proves nothing to an attacker and everything to a logbook.
"""

import hmac
import re
import secrets
import string
import zlib
from typing import Any

from django.conf import settings

from accounts.models import ApiKey, Tier, User

PREFIX = "koala_"
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_LENGTH = 32  # 190 bits
CHECKSUM_LENGTH = 6  # 62^6 > 2^32
PATTERN = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}}")
VISIBLE_START = len(PREFIX) + 6
VISIBLE_END = 4


def is_well_formed(text: str) -> bool:
    """Whether `text` could be a key: right prefix, length, alphabet and checksum. Looks nothing up."""
    return (
        PATTERN.fullmatch(text) is not None and _checksum(text[:-CHECKSUM_LENGTH]) == text[-CHECKSUM_LENGTH:]
    )


def new_text() -> str:
    body = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return body + _checksum(body)


def issue(owner: User, *, name: str, tier: Tier | None = None, **fields: Any) -> tuple[ApiKey, str]:
    """A new key of `owner` and its text, which can't be had again. The tier is `free` if not told."""
    text, version = new_text(), max(settings.KEY_PEPPERS)
    key = ApiKey.objects.create(
        owner=owner,
        name=name,
        tier=tier or Tier.objects.get(slug=Tier.FREE),
        digest=_digest(text, settings.KEY_PEPPERS[version]),
        pepper_version=version,
        start=text[:VISIBLE_START],
        end=text[-VISIBLE_END:],
        **fields,
    )
    return key, text


def find(text: str) -> ApiKey | None:
    """The key with this text, with its tier and owner, in one query; `None` for one we never issued."""
    if not is_well_formed(text):
        return None
    digests = [_digest(text, pepper) for pepper in settings.KEY_PEPPERS.values()]
    return ApiKey.objects.select_related("tier", "owner").filter(digest__in=digests).first()


def _digest(text: str, pepper: bytes) -> str:
    return hmac.digest(pepper, text.encode(), "sha256").hex()


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), []
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
