"""The limit store: a Valkey or Redis server that decides, by two scripts that run inside it.

Keys are `kp1:{b}:…`, where `b` is one of 64 buckets: all keys of a subject carry the same hash tag, so that a
script touches one slot and the store may be a cluster. The scripts' own headers list what is in each key.
Every key has a time to live.
"""

import itertools
import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, Protocol

import hiredis
import redis
from django.conf import settings

from usage.escalation.ladder import Ladder
from usage.limits.breaker import Breaker
from usage.limits.decision import Decision
from usage.limits.kinds import Verdict
from usage.limits.link import LimitStoreDown, Link, NotAsked, pack
from usage.subjects import BUCKETS, Subject, bucket_of

logger = logging.getLogger(__name__)

PREFIX = "kp1"  # the schema's version: a change of meaning takes a new one
LEASE_MS = 120_000  # outlives a slow upload and the wait for a job; a killed worker's lease ends by itself
# Longer than any process keeps a subject it read before the announcement. A bucket that nobody announced
# anything in for so long is built anew, which does it no harm.
ANNOUNCEMENT_SECONDS = 30 * 86_400
KEY_ANNOUNCEMENT_SECONDS = 2 * 86_400
# In a bucket's hash beside the tiers' slugs, which have no asterisk.
LADDER, LIFE = "*ladder", "*life"

DECIDE = (files("usage.limits") / "decide.lua").read_bytes()
# Sent with every request, so without its comments and indentation, which the store would only hash.
SETTLE = b"\n".join(
    line
    for line in map(bytes.strip, (files("usage.limits") / "settle.lua").read_bytes().splitlines())
    if line and not line.startswith(b"--")
)
_DECIDE_SHA = sha1(DECIDE, usedforsecurity=False).hexdigest()

# How a request ended, in the words of `settle.lua`; undone: the client was refused after all.
WELL, FAILED, UNDONE = "", "failed", "refused"

# Subject, route, lease, and how its request ended.
Settlement = tuple[Subject, str, str, str]

NEWEST = 2**53 - 1  # larger than every revision, and exact in Lua's arithmetic

_VERDICTS = {int(verdict): verdict for verdict in Verdict}
_REPLY_LENGTH = 9


class Memory(Protocol):
    """What outlives the limit store."""

    def ladder(self) -> Ladder:
        """The ladder in force."""

    def build(self, store: "LimitStore", bucket: int) -> None:
        """Give a bucket that the store has lost what is remembered of it. Raises `redis.RedisError`."""


class LimitStore:
    """Asks the limit store at `url`; safe to share between threads, each of which gets its own connection.

    `timeout` in seconds bounds connecting, and each word to and from the store.
    `memory` is asked where the store has lost what it knew, and when the ladder has changed.
    `clock` gives Unix time in microseconds and replaces the store's own; only tests and replays pass one.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        memory: Memory | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.url = url
        self.memory = memory
        self.breaker = Breaker()
        # The ladder that decisions are made by. The default is older than any: the first decision says so.
        self.ladder = Ladder()
        self._timeout = timeout
        self._clock = clock
        # For what is asked beside requests: pages, the books, announcements. Connects when first used.
        self.client = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
        self._threads = threading.local()
        self._lease_prefix = os.urandom(6).hex()
        self._lease_numbers = itertools.count()
        os.register_at_fork(after_in_child=self._start_over)

    def new_lease(self) -> str:
        """An id for a request, unlike any other's: it names the lease and makes a replay count once."""
        return f"{self._lease_prefix}{next(self._lease_numbers):x}"

    def decide(
        self, subject: Subject, route: str, lease: str | None, *, ladder: Ladder | None = None
    ) -> Decision:
        """Check and charge one request of `subject`; without a lease, only look.

        One round trip, if the store has lost nothing. Raises `LimitStoreDown`; whatever the store makes of
        the request is then undone.
        """
        decision = self._ask(subject, route, lease, ladder or self.ladder)
        if decision.verdict is Verdict.EMPTY:
            self._build(subject.bucket)
            decision = self._ask(subject, route, lease, ladder or self.ladder)
            if decision.verdict is Verdict.EMPTY:
                raise NotAsked("it forgets what it is told")
        return decision

    def _ask(self, subject: Subject, route: str, lease: str | None, ladder: Ladder) -> Decision:
        if not self.breaker.allows():
            raise NotAsked("it has failed too often, and is asked once a second")
        try:
            decision = self._exchange(subject, route, lease, ladder)
        except LimitStoreDown:
            if self.breaker.failed():
                logger.error("The limit store is down: from here on one request a second asks whether it is")
            raise
        if self.breaker.succeeded():
            logger.warning("The limit store is back")
        return decision

    def _exchange(self, subject: Subject, route: str, lease: str | None, ladder: Ladder) -> Decision:
        arguments = (*_words(subject, ladder), route, lease or "", self.time_argument())
        undo = None if lease is None else lambda: self._settlement(subject, route, lease, UNDONE)
        link = self._link()
        reply = link.ask(pack(("EVALSHA", _DECIDE_SHA, *arguments)), undo)
        if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT"):
            # The store was restarted or its scripts were flushed: nothing ran, so this is no second charge.
            reply = link.ask(pack(("EVAL", DECIDE, *arguments)), undo)
        if not _is_decision(reply):
            link.close()
            raise LimitStoreDown(f"unexpected answer: {reply!r:.200}")
        return _decision(reply, subject)

    def look(self, subject: Subject) -> Decision:
        """How the subject stands now, by limits that were just read; charges nothing. Raises as `decide`."""
        decision = self.decide(subject, "", None)
        if decision.verdict is Verdict.STALE:
            self.reload_ladder()
            decision = self.insist(subject, "", None)
        return decision

    def look_at(self, subjects: Sequence[Subject], ladder: Ladder) -> list[Decision]:
        """As `look`, for a page of subjects: in their order, by limits and a ladder that were just read.

        One round trip, if the store has lost nothing. Raises `redis.RedisError` and `LimitStoreDown`.
        """
        newest = replace(ladder, revision=NEWEST)
        subjects = [replace(one, key_revision=NEWEST, tier_revision=NEWEST) for one in subjects]
        decisions = self._look_at(subjects, newest)
        if lost := {one.bucket for one, how in zip(subjects, decisions, strict=True) if how is None}:
            for bucket in lost:
                self._build(bucket)
            decisions = self._look_at(subjects, newest)
        found = [decision for decision in decisions if decision is not None]
        if len(found) < len(subjects):
            raise NotAsked("it forgets what it is told")
        return found

    def _look_at(self, subjects: Sequence[Subject], ladder: Ladder) -> list[Decision | None]:
        """`None` where the store has lost the subject's bucket."""
        pipeline = self.client.pipeline(transaction=False)
        for subject in subjects:
            # Not remembered like those of requests: these subjects are for once.
            words = _words.__wrapped__(subject, ladder)
            pipeline.execute_command("EVALSHA", _DECIDE_SHA, *words, "", "", self.time_argument())  # type: ignore[no-untyped-call]
        try:
            replies = pipeline.execute()
        except redis.exceptions.NoScriptError:
            self.client.script_load(DECIDE)
            return self._look_at(subjects, ladder)
        decisions = map(_decision, replies, subjects)
        return [None if decision.verdict is Verdict.EMPTY else decision for decision in decisions]

    def reload_ladder(self) -> None:
        """Decide by the ladder that is in force now."""
        if self.memory is not None:
            self.ladder = self.memory.ladder()

    def _build(self, bucket: int) -> None:
        if self.memory is None:
            raise NotAsked("it is empty, and nothing is known that could be put there")
        try:
            self.memory.build(self, bucket)
        except redis.RedisError as error:
            raise NotAsked(str(error)) from error

    def insist(self, subject: Subject, route: str, lease: str | None) -> Decision:
        """Decide by the limits given, whatever has been announced. Raises as `decide`."""
        subject = replace(subject, key_revision=NEWEST, tier_revision=NEWEST)
        return self.decide(subject, route, lease, ladder=replace(self.ladder, revision=NEWEST))

    def settle(self, subject: Subject, route: str, lease: str, outcome: str = WELL) -> None:
        """Return a lease and book how the request ended: `WELL`, `FAILED`, or `UNDONE`.

        Waits for no reply; raises `LimitStoreDown`. Done twice it is done once.

        The script goes with it each time: where no reply is read, a NOSCRIPT would not be noticed.
        """
        self._link().tell(self._settlement(subject, route, lease, outcome))

    def settle_surely(self, settlements: Sequence[Settlement]) -> None:
        """As `settle`, some at once, and not done until the store says so. Raises `redis.RedisError`."""
        pipeline = self.client.pipeline(transaction=False)
        for settlement in settlements:
            pipeline.execute_command(*self._settlement_words(*settlement))  # type: ignore[no-untyped-call]
        pipeline.execute()

    def _settlement(self, subject: Subject, route: str, lease: str, outcome: str) -> bytes:
        return pack(self._settlement_words(subject, route, lease, outcome))

    def _settlement_words(
        self, subject: Subject, route: str, lease: str, outcome: str
    ) -> tuple[str | bytes, ...]:
        state, leases, _, usage, _ = keys_of(subject.id)
        keys = ("3", state, leases, usage)
        words = (lease, subject.id, route, outcome, str(LEASE_MS), self.time_argument())
        return ("EVAL", SETTLE, *keys, *words)

    def booked(self, fields: Sequence[tuple[str, str, str]], minutes: Iterable[int]) -> dict[int, list[int]]:
        """What the scripts booked of one subject in some Unix minutes.

        `fields` are (subject id, route, outcome), all of the same subject; the counts come in their order.
        For pages: one round trip. Raises `redis.RedisError`.
        """
        minutes = list(minutes)
        usage = keys_of(fields[0][0])[3]
        names = ["|".join(field) for field in fields]
        pipeline = self.client.pipeline(transaction=False)
        for minute in minutes:
            pipeline.hmget(f"{usage}{minute}", names)
        counts = pipeline.execute()
        return {minute: [int(n or 0) for n in row] for minute, row in zip(minutes, counts, strict=True)}

    def now(self) -> int:
        """The store's clock, in Unix seconds. Raises `redis.RedisError`."""
        if self._clock is not None:
            return self._clock() // 1_000_000
        seconds: int = self.client.time()[0]
        return seconds

    def sizes_of_bucket(self, bucket: int, minutes: Sequence[int]) -> dict[int, int]:
        """How many counts a bucket has by Unix minute, for those of some minutes that have any.

        Hours without any are passed over, so that a week takes milliseconds. Raises `redis.RedisError`.
        """
        usage = f"{bucket_tag(bucket)}:u:"
        hours = [minutes[first : first + 60] for first in range(0, len(minutes), 60)]
        pipeline = self.client.pipeline(transaction=False)
        for hour in hours:
            pipeline.exists(*(f"{usage}{minute}" for minute in hour))
        used = [minute for hour, n in zip(hours, pipeline.execute(), strict=True) if n for minute in hour]
        for minute in used:
            pipeline.hlen(f"{usage}{minute}")
        return {minute: size for minute, size in zip(used, pipeline.execute(), strict=True) if size}

    def usage_of_bucket(self, bucket: int, minutes: Iterable[int]) -> dict[int, dict[tuple[str, ...], int]]:
        """Everything booked in a bucket, by Unix minute: (subject id, route, outcome) -> n.

        Raises `redis.RedisError`.
        """
        return {
            minute: {tuple(field.decode().split("|")): int(n) for field, n in booked.items()}
            for minute, booked in self._hashes(f"{bucket_tag(bucket)}:u:", minutes).items()
        }

    def samples_of_bucket(self, bucket: int, minutes: Iterable[int]) -> dict[int, dict[tuple[str, ...], str]]:
        """Who was refused, by Unix minute: (subject id, route, outcome) -> the sample of one, as `tally.lua`
        has it.

        What a client sent is in there, as text. Raises `redis.RedisError`.
        """
        return {
            minute: {
                tuple(field.decode().split("|")): sample.decode(errors="replace")
                for field, sample in samples.items()
            }
            for minute, samples in self._hashes(f"{bucket_tag(bucket)}:hs:", minutes).items()
        }

    def _hashes(self, prefix: str, minutes: Iterable[int]) -> dict[int, dict[bytes, bytes]]:
        """The hashes of some minutes in one round trip; those that aren't there are left out."""
        minutes = list(minutes)
        pipeline = self.client.pipeline(transaction=False)
        for minute in minutes:
            pipeline.hgetall(f"{prefix}{minute}")
        return {minute: one for minute, one in zip(minutes, pipeline.execute(), strict=True) if one}

    def announce_key(self, subject_id: str, revision: int) -> None:
        """Make every process reload this key before its next decision. Raises `redis.RedisError`."""
        state = keys_of(subject_id)[0]
        pipeline = self.client.pipeline()
        pipeline.hset(state, "r", revision)
        # Never shortened: the hash may hold a day's count, or a block.
        pipeline.expire(state, KEY_ANNOUNCEMENT_SECONDS, nx=True)
        pipeline.expire(state, KEY_ANNOUNCEMENT_SECONDS, gt=True)
        pipeline.execute()

    def announce_tier(self, slug: str, revision: int) -> None:
        """As `announce_key`, for every subject of a tier (or, by the name `LADDER`, for the ladder)."""
        pipeline = self.client.pipeline(transaction=False)
        for bucket in range(BUCKETS):
            tiers = f"{bucket_tag(bucket)}:t"
            pipeline.hset(tiers, slug, revision)
            pipeline.expire(tiers, ANNOUNCEMENT_SECONDS)
        pipeline.execute()

    def time_argument(self) -> str:
        """The scripts' last word: empty for the store's own clock."""
        return "" if self._clock is None else str(self._clock())

    def _link(self) -> Link:
        link: Link | None = getattr(self._threads, "link", None)
        if link is None:
            link = self._threads.link = Link(self.url, self._timeout)
        return link

    def _start_over(self) -> None:
        """In a forked child: the parent's connections and lease ids are the parent's."""
        self._threads = threading.local()
        self._lease_prefix = os.urandom(6).hex()


def _is_decision(reply: Any) -> bool:
    return (
        type(reply) is list
        and len(reply) == _REPLY_LENGTH
        and type(reply[0]) is int
        and reply[0] in _VERDICTS
        and type(reply[-1]) is bytes
    )


def _decision(reply: list[Any], subject: Subject) -> Decision:
    return Decision._make((_VERDICTS[reply[0]], subject.limits, *reply[1:8], reply[8].decode()))


@lru_cache(maxsize=8192)
def _words(subject: Subject, ladder: Ladder) -> tuple[str | bytes, ...]:
    """What `decide.lua` is told of a subject, the same for each of its requests."""
    minute, day, concurrent, _, _ = ("-1" if limit is None else str(limit) for limit in subject.limits)
    return (
        *("5", *keys_of(subject.id)),
        *(subject.id, minute, day, concurrent),
        *(str(subject.key_revision), subject.tier, str(subject.tier_revision), str(LEASE_MS)),
        *(str(ladder.revision), ladder.numbers(subject.id)),
    )


@lru_cache(maxsize=8192)
def keys_of(subject_id: str) -> tuple[str, str, str, str, str]:
    """A subject's keys, as the scripts name them: state, leases, bucket, usage, changes."""
    tag = bucket_tag(bucket_of(subject_id))
    return f"{tag}:s:{subject_id}", f"{tag}:f:{subject_id}", f"{tag}:t", f"{tag}:u:", f"{tag}:ev"


def bucket_tag(bucket: int) -> str:
    """What the keys of a bucket begin with."""
    return f"{PREFIX}:{{{bucket}}}"


@cache
def limit_store() -> LimitStore:
    """This process's way to the limit store of `LIMITS_URL`."""
    return LimitStore(settings.LIMITS_URL, timeout=settings.LIMITS_TIMEOUT_MS / 1000)
