"""Which subject a request is from: a small, bounded cache per process in front of one SQL query.

What staff change is felt at once all the same: a changed key or tier is announced in the limit store, and
the next decision about it says that this process's copy is stale.
"""

import hashlib
import os
import threading
import time
from typing import NamedTuple

from cachetools import LRUCache, TTLCache

from accounts import api_keys
from accounts.models import Tier
from usage import subjects
from usage.subjects import Subject

GOOD_SECONDS = 60.0
# A key that is refused here never reaches the limit store, so nothing tells us that it is good again.
REFUSED_SECONDS = 5.0
UNKNOWN_SECONDS = 5.0

# Keys are remembered by a hash that means nothing outside this process, so that none lies about in memory;
# it takes a third of the time of the digest they are stored under.
_HASH_KEY = os.urandom(32)


class _Known(NamedTuple):
    subject: Subject
    until: float  # monotonic seconds


class KnownSubjects:
    """Thread-safe. At most `capacity` keys and as many networks are kept, least recently used first out."""

    def __init__(self, capacity: int = 20_000) -> None:
        self._lock = threading.Lock()
        self._keys: LRUCache[bytes, _Known] = LRUCache(capacity)
        self._networks: LRUCache[str, _Known] = LRUCache(capacity)
        # Apart from the good ones, so that made-up keys can't push those out.
        self._unknown: TTLCache[bytes, bool] = TTLCache(1024, UNKNOWN_SECONDS)

    def by_key(self, text: str, *, fresh: bool = False) -> Subject | None:
        """The subject of a presented key, or `None` if we never issued it.

        SQL only for a cold key, or when the caller knows that the copy kept here is stale (`fresh`).
        """
        name = hashlib.blake2b(text.encode(), key=_HASH_KEY, digest_size=16).digest()
        if not fresh:
            with self._lock:
                known = self._keys.get(name)
            if known is not None and known.until > time.monotonic():
                return known.subject
        # A well-formed key is all that is ever looked up.
        if not api_keys.is_well_formed(text):
            return None
        with self._lock:
            if not fresh and name in self._unknown:
                return None
        key = api_keys.find(text)
        with self._lock:
            if key is None:
                self._keys.pop(name, None)
                self._unknown[name] = True
                return None
            subject = subjects.of_key(key)
            self._keys[name] = _Known(subject, _kept_until(subject))
        return subject

    def by_network(self, network: str, *, fresh: bool = False) -> Subject:
        """The guest behind a network; SQL as for a key, for the anonymous tier."""
        if not fresh:
            with self._lock:
                known = self._networks.get(network)
            if known is not None and known.until > time.monotonic():
                return known.subject
        subject = subjects.of_network(network, Tier.objects.get(slug=Tier.ANONYMOUS))
        with self._lock:
            self._networks[network] = _Known(subject, _kept_until(subject))
        return subject


def _kept_until(subject: Subject) -> float:
    now = time.monotonic()
    if subject.refusal is not None:
        return now + REFUSED_SECONDS
    if subject.expires_at is not None:
        return now + min(GOOD_SECONDS, subject.expires_at - time.time())
    return now + GOOD_SECONDS
