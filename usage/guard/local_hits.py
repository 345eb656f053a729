"""Hits that a web process refused without asking the limit store, and a sample of each kind of hit.

They are added up here and brought to the store in the background, to the minute in which they happened; what
can't be brought waits. A process that is asked to end brings the rest at once, and from then on each hit as
it happens, at the cost of a round trip. A batch has an id: one that is brought again, because the reply was
lost, counts once.
"""

import itertools
import logging
import os
import threading
from collections.abc import Mapping
from functools import cache
from multiprocessing import util
from typing import Any, Protocol

import redis

from accounts.client_address import client_address
from usage.guard import process_end
from usage.guard.last_refusals import Hurry
from usage.limits.store import LimitStore, limit_store
from usage.limits.upkeep import TALLIES_AT_A_TIME, Tally, tally
from usage.subjects import bucket_of

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0
# Different hits (subject, minute, route, outcome) that may wait while the store is away.
CAPACITY = 50_000
# Whose sample was brought already: a minute's worth of different hits.
SAMPLES_REMEMBERED = 20_000
LONGEST_AGENT = 200

Hit = tuple[str, int, str, str]  # subject, Unix minute, route, outcome


_PATIENT = 2**63  # milliseconds: of a sample that came when it might


class Companion(Protocol):
    """What goes to the store by the same thread: there is one alone that hears of a process's end."""

    def flush(self) -> bool: ...

    def end(self) -> None: ...


class LocalHits:
    """Thread-safe; one per process. Its thread begins with the first hit."""

    def __init__(self, store: LimitStore) -> None:
        self._store = store
        self._companions: list[Companion] = []
        self._start_over()
        os.register_at_fork(after_in_child=self._start_over)

    def _start_over(self) -> None:
        """In a forked child: what the parent counted is the parent's to bring."""
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_ending = False
        # How many, the sample of one of them, and how long that one waited.
        self._waiting: dict[Hit, tuple[int, str, int]] = {}
        self._batches: list[tuple[str, int, list[Tally]]] = []
        self._sampled: dict[Hit, int] = {}  # and how long the sample waited
        self._lost = 0
        self._name = os.urandom(6).hex()
        self._numbers = itertools.count()

    def count(self, hit: Hit, environ: Mapping[str, Any], hurry: Hurry | None = None) -> None:
        """A request was refused here, and nobody else knows of it. `hurry`: it should not have come yet."""
        with self._lock:
            waiting = self._waiting.get(hit)
            if waiting is not None:
                hits, sample, waited = waiting
                if hurry is not None and hurry.waited_ms < waited:
                    sample, waited = _sample(environ, hurry), hurry.waited_ms
                self._waiting[hit] = (hits + 1, sample, waited)
            elif len(self._waiting) < CAPACITY:
                self._waiting[hit] = (1, _sample(environ, hurry), _waited(hurry))
            else:
                self._lost += 1
        self.begin()
        if self._is_ending:
            self.flush()

    def sample(self, hit: Hit, environ: Mapping[str, Any], hurry: Hurry | None = None) -> None:
        """The store refused a request and counted it; it is told whose it was once per hit, and again when
        one came that had waited for less."""
        sampled = self._sampled.get(hit)  # without the lock: this runs for every refusal
        if sampled is not None and (hurry is None or hurry.waited_ms >= sampled):
            return
        with self._lock:
            if len(self._sampled) >= SAMPLES_REMEMBERED:
                self._sampled.clear()
            self._sampled[hit] = _waited(hurry)
            hits, _, waited = self._waiting.get(hit, (0, "", _PATIENT))
            if hits and _waited(hurry) >= waited:
                pass  # one that was counted here is the better sample
            elif hit in self._waiting or len(self._waiting) < CAPACITY:
                self._waiting[hit] = (hits, _sample(environ, hurry), _waited(hurry))
        self.begin()

    def bring_along(self, companion: Companion) -> None:
        """Have the thread bring what another one has, too. Whoever has any calls `begin`."""
        self._companions.append(companion)

    def flush(self) -> bool:
        """Bring what has come together; gives whether nothing is left waiting."""
        with self._flushing:
            while self._batches or self._take_waiting():
                try:
                    tally(self._store, *self._batches[0])
                except redis.RedisError:
                    return False  # the same batch again, next time
                self._batches.pop(0)
            return True

    def end(self) -> None:
        """The process ends: bring everything, and what still happens as it happens."""
        self._is_ending = True
        if self.flush():
            return
        left = sum(one.hits for _, _, tallies in self._batches for one in tallies)
        if left := left + sum(hits for hits, _, _ in list(self._waiting.values())):
            logger.error("%d hits are lost: the limit store was away when this process ended", left)

    def _take_waiting(self) -> bool:
        """Put what waits into batches; gives whether there are any."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            lost, self._lost = self._lost, 0
        if lost:
            logger.error("%d hits were not counted: the limit store was away for too long", lost)
        by_bucket: dict[int, list[Tally]] = {}
        for (subject, minute, route, outcome), (hits, sample, _) in waiting.items():
            by_bucket.setdefault(bucket_of(subject), []).append(
                Tally(subject, minute, route, outcome, hits, sample)
            )
        for bucket, tallies in by_bucket.items():
            for first in range(0, len(tallies), TALLIES_AT_A_TIME):
                batch = f"{self._name}{next(self._numbers):x}"
                self._batches.append((batch, bucket, tallies[first : first + TALLIES_AT_A_TIME]))
        return bool(self._batches)

    def begin(self) -> None:
        """There is something to bring."""
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    # Both the ends of a process and those of a forked one. (`atexit` is for the first alone.)
                    util.Finalize(None, self._end_all, exitpriority=1)
                    self._thread = threading.Thread(target=self._run, name="local hits", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while not process_end.wait(FLUSH_SECONDS):
            for one in (self, *self._companions):
                try:
                    one.flush()
                except Exception:
                    logger.exception("What came together could not be brought to the limit store")
        self._end_all()

    def _end_all(self) -> None:
        for one in (self, *self._companions):
            one.end()


def _waited(hurry: Hurry | None) -> int:
    return _PATIENT if hurry is None else hurry.waited_ms


def _sample(environ: Mapping[str, Any], hurry: Hurry | None) -> str:
    """Lines: address, user agent; of a request that should have waited also what it was told, in seconds, and
    how long it did, in milliseconds. WSGI gives a header's bytes as Latin-1."""
    header: str = environ.get("HTTP_USER_AGENT", "")[: 4 * LONGEST_AGENT]
    agent = header.encode("latin-1", "replace").decode("utf-8", "replace").replace("\n", " ")
    told = "" if hurry is None else f"\n{hurry.told}\n{hurry.waited_ms}"
    return f"{client_address(environ)}\n{agent[:LONGEST_AGENT]}{told}"


@cache
def local_hits() -> LocalHits:
    """This process's hits."""
    return LocalHits(limit_store())
