"""Whoever a limit counts against: an API key, or the network of an anonymous address."""

import contextlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network

from accounts.client_address import Address
from accounts.keys.allow_list import Network
from accounts.models import ApiKey, KeySecret, Tier
from accounts.tiers import Limits

BUCKETS = 64
SUSPENSION = "key_suspended"  # the code that answers for a suspended key


# Compared by identity, which makes it a cheap key for what others derive from it once.
@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A subject with all that a decision needs; cached per process, so it may be some seconds old.

    `id` is `k:<key id>` or `ip:<network>`; `account_id`, `key_id` and `key_start` are a key's, `secret_id` is
    that of the secret which was presented. `refusal` is the code that answers for it before any limit is
    asked (`key_revoked`, …), or `None`; where it is that another secret has replaced this one, `replaced_at`
    says since when. A key with `allowed_networks` is good from these alone. `is_rehearsal`: no limit is asked
    about it, and what it asks for is acted (`images.rehearsal`). Times are in Unix seconds.
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
    expires_at: float | None = None  # when its secret is rotated out, if that is sooner
    secret_id: int | None = None
    replaced_at: float | None = None
    allowed_networks: tuple[Network, ...] | None = None
    is_rehearsal: bool = False

    @property
    def is_suspended(self) -> bool:
        """As SQL says; the limit store may hear of it a moment later."""
        return self.refusal == SUSPENSION

    @property
    def bucket(self) -> int:
        return bucket_of(self.id)

    def has_ended(self, now: float) -> bool:
        """Whether it was good until a moment that has passed; SQL says what it is since."""
        return self.expires_at is not None and self.expires_at <= now and self.refusal is None

    def is_allowed_from(self, address: Address) -> bool:
        """`address` as `accounts.client_address` gives it: IPv4-mapped IPv6 is IPv4."""
        return self.allowed_networks is None or any(address in network for network in self.allowed_networks)


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
    """The subject of a key that was read with its tier and owner, whichever secret it is used by."""
    return replace(
        of_limits(key),
        refusal=_refusal(key),
        expires_at=None if key.expires_at is None else key.expires_at.timestamp(),
        allowed_networks=tuple(_networks(key.allowed_networks)) if key.allowed_networks else None,
    )


def of_limits(key: ApiKey) -> Subject:
    """The subject of a key that was read with its tier, to ask how it stands, not whether it is refused."""
    return Subject(
        id=key_subject_id(key.pk),
        limits=key.limits,
        tier=key.tier.slug,
        tier_revision=key.tier.revision,
        account_id=key.owner_id,
        key_id=key.pk,
        key_start=key.start,
        key_revision=key.revision,
        is_rehearsal=key.is_rehearsal,
    )


def of_secret(secret: KeySecret) -> Subject:
    """The subject of a secret that was read with its key, tier and owner: its key, while both last."""
    subject = of_key(secret.key)
    ends = [at for at in (secret.key.expires_at, secret.retires_at) if at is not None]
    is_replaced = subject.refusal is None and secret.is_rotated_out
    return replace(
        subject,
        refusal="key_expired" if is_replaced else subject.refusal,
        expires_at=min(ends).timestamp() if ends else None,
        secret_id=secret.pk,
        replaced_at=secret.retires_at.timestamp() if is_replaced and secret.retires_at else None,
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


def _networks(texts: Iterable[str]) -> Iterator[Network]:
    """An allow-list's networks. What can't be read is left out: a broken list lets nobody in."""
    for text in texts:
        with contextlib.suppress(ValueError):
            yield ip_network(text)
