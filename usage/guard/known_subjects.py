"""Which subject a request is from: a small, bounded cache per process in front of one SQL query.

What staff change is felt at once all the same: a changed key or tier is announced in the limit store, and
the next decision about it says that this process's copy is stale.
"""

import os
import threading
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from accounts import api_keys
from accounts.models import Tier
from usage import subjects
from usage.subjects import Subject

GOOD_SECONDS = 60.0
# A key that is refused here never reaches the limit store, so nothing tells us that it is good again, or
# good from another address; nor, of a rehearsal key, that it isn't any more.
REFUSED_SECONDS = 5.0
UNKNOWN_SECONDS = 5.0

# Keys are remembered by a hash that means nothing outside this process, so that none lies about in memory;
# it takes a third of the time of the digest they are stored under.
_HASH_KEY = os.urandom(32)


class _Bounded(dict[Any, tuple[float, Subject | None]]):
    """Name -> (kept until, subject). When it is full, whoever came first goes.

    A look-up is one call of a dictionary, without a lock: it runs for every request.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity
        self._lock = threading.Lock()

    def keep(self, name: Any, subject: Subject | None, seconds: float) -> None:
        with self._lock:
            self.pop(name, None)
            while len(self) >= self._capacity:
                del self[next(iter(self))]
            self[name] = (time.monotonic() + seconds, subject)

    def keep_no_longer_than(self, seconds: float, name: Any) -> None:
        with self._lock:
            known = self.get(name)
            if known is not None:
                self[name] = (min(known[0], time.monotonic() + seconds), known[1])


class KnownSubjects:
    """Thread-safe. At most `capacity` keys and as many networks are kept.

    `before_sql` is called before each query: who stands outside of Django's handling of requests has to leave
    connections that the database may have closed meanwhile.
    """

    def __init__(self, capacity: int = 20_000, before_sql: Callable[[], None] = lambda: None) -> None:
        self.before_sql = before_sql
        self._keys = _Bounded(capacity)
        self._networks = _Bounded(capacity)
        # Apart from the good ones, so that made-up keys can't push those out.
        self._unknown = _Bounded(1024)

    def by_key(self, text: str, *, fresh: bool = False) -> Subject | None:
        """The subject of a presented key, or `None` if we never issued it.

        SQL only for a cold key, or when the caller knows that the copy kept here is stale (`fresh`).
        """
        name = _name(text)
        if not fresh:
            known = self._keys.get(name)
            if known is not None and known[0] > time.monotonic():
                subject = known[1]
                # By the clock on the wall: a secret ends at a time that people were told.
                if subject is None or subject.expires_at is None or not subject.has_ended(time.time()):
                    return subject
        # A well-formed key is all that is ever looked up.
        if not api_keys.is_well_formed(text):
            return None
        if not fresh:
            known = self._unknown.get(name)
            if known is not None and known[0] > time.monotonic():
                return None
        self.before_sql()
        secret = api_keys.find_secret(text)
        if secret is None:
            self._keys.pop(name, None)
            self._unknown.keep(name, None, UNKNOWN_SECONDS)
            return None
        subject = subjects.of_secret(secret)
        self._keys.keep(name, subject, _seconds_to_keep(subject))
        return subject

    def doubt_key(self, text: str) -> None:
        """A good key was refused for where it came from: soon ask whether it may come from there by now."""
        self._keys.keep_no_longer_than(REFUSED_SECONDS, _name(text))

    def by_network(self, network: str, *, fresh: bool = False) -> Subject:
        """The guest behind a network; SQL as for a key, for the anonymous tier."""
        if not fresh:
            known = self._networks.get(network)
            if known is not None and known[0] > time.monotonic() and known[1] is not None:
                return known[1]
        self.before_sql()
        subject = subjects.of_network(network, Tier.objects.get(slug=Tier.ANONYMOUS))
        self._networks.keep(network, subject, GOOD_SECONDS)
        return subject


def _name(text: str) -> bytes:
    return blake2b(text.encode(), key=_HASH_KEY, digest_size=16).digest()


def _seconds_to_keep(subject: Subject) -> float:
    return GOOD_SECONDS if subject.refusal is None and not subject.is_rehearsal else REFUSED_SECONDS
