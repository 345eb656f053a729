"""Whoever a limit counts against: an API key, or the network of an anonymous address."""

import zlib
from dataclasses import dataclass

from accounts.models import ApiKey, Tier
from accounts.tiers import Limits

BUCKETS = 64
SUSPENSION = "key_suspended"  # the code that answers for a suspended key


# Compared by identity, which makes it a cheap key for what others derive from it once.
@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A subject with all that a decision needs; cached per process, so it may be some seconds old.

    `id` is `k:<key id>` or `ip:<network>`; `account_id`, `key_id` and `key_start` are a key's. `refusal` is
    the code that answers for it before any limit is asked (`key_revoked`, …), or `None`.
    """

    id: str
    limits: Limits
    tier: str
    tier_revision: int
    account_id: int | None = None
    key_id: int | None = None
    key_start: str = ""
    key_revision: int = 0
    refusal: str | None = None
    expires_at: float | None = None  # Unix seconds

    @property
    def is_suspended(self) -> bool:
        """As SQL says; the limit store may hear of it a moment later."""
        return self.refusal == SUSPENSION

    @property
    def bucket(self) -> int:
        return bucket_of(self.id)


def bucket_of(subject_id: str) -> int:
    """Which of the limit store's 64 buckets a subject lives in; its keys share this as their hash tag."""
    return zlib.crc32(subject_id.encode()) % BUCKETS


def key_subject_id(key_id: int) -> str:
    return f"k:{key_id}"


def key_id_of(subject_id: str) -> int | None:
    """The key behind a subject; `None` for a network."""
    kind, _, rest = subject_id.partition(":")
    return int(rest) if kind == "k" else None


def of_key(key: ApiKey) -> Subject:
    """The subject of a key that was read with its tier and owner."""
    return Subject(
        id=key_subject_id(key.pk),
        limits=key.limits,
        tier=key.tier.slug,
        tier_revision=key.tier.revision,
        account_id=key.owner_id,
        key_id=key.pk,
        key_start=key.start,
        key_revision=key.revision,
        refusal=_refusal(key),
        expires_at=None if key.expires_at is None else key.expires_at.timestamp(),
    )


def of_network(network: str, tier: Tier) -> Subject:
    """A guest: everyone behind this network together, under the anonymous tier."""
    return Subject(id=f"ip:{network}", limits=tier.limits, tier=tier.slug, tier_revision=tier.revision)


def _refusal(key: ApiKey) -> str | None:
    if key.status == ApiKey.Status.REVOKED or not key.owner.is_active:
        return "key_revoked"
    if key.status == ApiKey.Status.SUSPENDED:
        return SUSPENSION
    return "key_expired" if key.has_expired else None
