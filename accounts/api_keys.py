"""The text of an API key: its format, how one is issued, how a presented one is recognised.

`koala_` + 32 base62 characters + 6 of checksum: a secret scanner, or a server that was sent a typing error,
can tell a real one offline. The checksum proves nothing to an attacker and everything to a logbook.

The random part of a rehearsal key begins with `test`, and that of no other: whoever reads `koala_test…` in a
configuration knows that nothing is converted with it. What is left is random enough (166 bits).
"""

import hmac
import re
import secrets
import string
import zlib
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts.models import ApiKey, KeySecret, Tier, User

PREFIX = "koala_"
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_LENGTH = 32  # 190 bits
CHECKSUM_LENGTH = 6  # 62^6 > 2^32
PATTERN = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}}")
REHEARSAL_MARK = "test"
VISIBLE_START = len(PREFIX) + 6  # behind a rehearsal's mark as well
VISIBLE_END = 4
# Each column costs a cold key some microseconds; a password's digest has no business here anyway.
_OF_NO_USE_HERE = (
    *("pepper_version", "created_at", "last_used_at", "end"),
    *("key__form_id", "key__created_at", "key__tier__description", "key__tier__name"),
    *("key__owner__password", "key__owner__last_login", "key__owner__date_joined", "key__owner__name"),
    *("key__owner__is_superuser", "key__owner__is_staff", "key__owner__wants_quota_emails"),
)


def is_well_formed(text: str) -> bool:
    """Whether `text` could be a key: right prefix, length, alphabet and checksum. Looks nothing up."""
    return (
        PATTERN.fullmatch(text) is not None and _checksum(text[:-CHECKSUM_LENGTH]) == text[-CHECKSUM_LENGTH:]
    )


def new_text(*, is_rehearsal: bool = False) -> str:
    random = REHEARSAL_MARK if is_rehearsal else ""
    while len(random) < RANDOM_LENGTH:
        random += secrets.choice(ALPHABET)
        if random == REHEARSAL_MARK and not is_rehearsal:
            random = ""
    return PREFIX + random + _checksum(PREFIX + random)


def looks_like_a_rehearsal(text: str) -> bool:
    return text.startswith(PREFIX + REHEARSAL_MARK)


@transaction.atomic
def issue(owner: User, *, name: str, tier: Tier | None = None, **fields: Any) -> tuple[ApiKey, str]:
    """A new key of `owner` and its text, which can't be had again. The tier is `free` if not told."""
    text = new_text(is_rehearsal=fields.get("is_rehearsal", False))
    key = ApiKey.objects.create(
        owner=owner, name=name, tier=tier or Tier.objects.get(slug=Tier.FREE), **_visible(text), **fields
    )
    _keep_secret(key, text)
    return key, text


def give_new_secret(key: ApiKey) -> str:
    """Another secret for `key`, by which pages show it from now on; gives its text.

    The caller saves the key and says when the old secrets retire, in one transaction.
    """
    text = new_text(is_rehearsal=key.is_rehearsal)
    for field, value in _visible(text).items():
        setattr(key, field, value)
    _keep_secret(key, text)
    return text


def find_secret(text: str) -> KeySecret | None:
    """The secret with this text, its key, tier and owner, in one query; `None` for one we never issued."""
    if not is_well_formed(text):
        return None
    digests = [_digest(text, pepper) for pepper in settings.KEY_PEPPERS.values()]
    found = KeySecret.objects.select_related("key__tier", "key__owner").filter(digest__in=digests)
    found = found.defer(*_OF_NO_USE_HERE)
    return next(iter(found.order_by()), None)  # one at most; first() would have it sorted


def find(text: str) -> ApiKey | None:
    """The key that has or had this text; `None` for one we never issued."""
    secret = find_secret(text)
    return secret.key if secret is not None else None


def _keep_secret(key: ApiKey, text: str) -> None:
    version = max(settings.KEY_PEPPERS)
    KeySecret.objects.create(
        key=key,
        digest=_digest(text, settings.KEY_PEPPERS[version]),
        pepper_version=version,
        **_visible(text),
    )


def _visible(text: str) -> dict[str, str]:
    mark = REHEARSAL_MARK if looks_like_a_rehearsal(text) else ""
    return {"start": text[: len(mark) + VISIBLE_START], "end": text[-VISIBLE_END:]}


def _digest(text: str, pepper: bytes) -> str:
    return hmac.digest(pepper, text.encode(), "sha256").hex()


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), []
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
