"""Whoever a limit counts against: an API key, or the network of an anonymous address."""

import zlib
from dataclasses import dataclass

from accounts.tiers import Limits

BUCKETS = 64


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject with all that a decision needs; cached per process, so it may be some seconds old.

    `id` is `k:<key id>` or `ip:<network>`; `account_id` and `key_id` are `None` for an address. `refusal`
    is the code that answers for it before any limit is asked (`key_revoked`, …), or `None`.
    """

    id: str
    limits: Limits
    tier: str
    tier_revision: int
    account_id: int | None = None
    key_id: int | None = None
    key_revision: int = 0
    refusal: str | None = None

    @property
    def bucket(self) -> int:
        return bucket_of(self.id)


def bucket_of(subject_id: str) -> int:
    """Which of the limit store's 64 buckets a subject lives in; its keys share this as their hash tag."""
    return zlib.crc32(subject_id.encode()) % BUCKETS
