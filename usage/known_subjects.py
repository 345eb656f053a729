"""Which subject a request is from: a small, bounded cache per process in front of one SQL query.

What staff change is felt at once all the same: a changed key or tier is announced in the limit store, and
the next decision about it says that this process's copy is stale.
"""

import threading
import time

from cachetools import TLRUCache, TTLCache

from accounts import api_keys
from accounts.models import Tier
from usage import subjects
from usage.subjects import Subject

GOOD_SECONDS = 60.0
# A key that is refused here never reaches the limit store, so nothing tells us that it is good again.
REFUSED_SECONDS = 5.0
UNKNOWN_SECONDS = 5.0


class KnownSubjects:
    """Thread-safe. At most `capacity` keys and as many networks are kept, least recently used first out."""

    def __init__(self, capacity: int = 20_000) -> None:
        self._lock = threading.Lock()
        self._keys: TLRUCache[str, Subject] = TLRUCache(capacity, _kept_until, timer=time.monotonic)
        self._networks: TTLCache[str, Subject] = TTLCache(capacity, GOOD_SECONDS)
        # Apart from the good ones, so that made-up keys can't push those out.
        self._unknown: TTLCache[str, bool] = TTLCache(1024, UNKNOWN_SECONDS)

    def by_key(self, text: str, *, fresh: bool = False) -> Subject | None:
        """The subject of a presented key, or `None` if we never issued it.

        SQL only for a cold key, or when the caller knows that the copy kept here is stale (`fresh`).
        """
        if not api_keys.is_well_formed(text):
            return None
        digest = api_keys.digest(text)
        if not fresh:
            with self._lock:
                subject = self._keys.get(digest)
                if subject is not None:
                    return subject
                if digest in self._unknown:
                    return None
        key = api_keys.find(text)
        with self._lock:
            if key is None:
                self._keys.pop(digest, None)
                self._unknown[digest] = True
                return None
            subject = self._keys[digest] = subjects.of_key(key)
        return subject

    def by_network(self, network: str, *, fresh: bool = False) -> Subject:
        """The guest behind a network; SQL as for a key, for the anonymous tier."""
        if not fresh:
            with self._lock:
                subject = self._networks.get(network)
            if subject is not None:
                return subject
        subject = subjects.of_network(network, Tier.objects.get(slug=Tier.ANONYMOUS))
        with self._lock:
            self._networks[network] = subject
        return subject


def _kept_until(_digest: str, subject: Subject, now: float) -> float:
    if subject.refusal is not None:
        return now + REFUSED_SECONDS
    if subject.expires_at is not None:
        return now + min(GOOD_SECONDS, subject.expires_at - time.time())
    return now + GOOD_SECONDS
