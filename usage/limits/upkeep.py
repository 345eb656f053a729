"""What is asked of the limit store beside requests: buckets built, places given by staff, changes read, hits
brought that were refused without it."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import redis

from usage.escalation.ladder import Cause, Ladder
from usage.limits.outcomes import SETTLING_SECONDS
from usage.limits.store import LIFE, LimitStore, bucket_tag, keys_of

PLACE, BUILD, TALLY = (
    (files("usage.limits") / f"{name}.lua").read_text() for name in ("place", "build", "tally")
)
STATES_AT_A_TIME = 500
CHANGES_AT_A_TIME = 500
TALLIES_AT_A_TIME = 500
# How long after its end a minute takes in hits: less than the books wait, whose clock is read first.
LATE_SECONDS = SETTLING_SECONDS - 1
KEPT_SECONDS = 2 * 86_400


class Change(NamedTuple):
    """A change of a subject's place on the ladder, as the limit store tells it.

    `entry` is its id in its bucket's stream, `id` names it for ever, `order` is that of the order of staff
    that it carries out. Times are Unix seconds, `minute` is in Unix minutes; 0 is none.
    """

    id: str
    entry: str
    life: str
    order: str
    subject: str
    cause: Cause
    before: int
    after: int
    until: int
    strikes: int
    minute: int
    served: int
    refused: int
    minute_limit: int | None
    route: str
    at: int
    version: int
    clean_since: int
    grace_until: int


class Cursor(NamedTuple):
    """How far a bucket's changes were read: its life then, and the last entry's id in the stream."""

    life: str = ""
    entry: str = "0-0"


Reading = tuple[Cursor, list[Change]]  # what was read, and the cursor behind it


class Remembered(NamedTuple):
    """What SQL knows of a subject whose bucket was lost. Times are Unix seconds; 0 is none."""

    subject: str
    escalation: int = 0
    until: int = 0
    grace_until: int = 0
    clean_since: int = 0
    version: int = 0
    key_revision: int = 0
    day: int = 0
    day_count: int = 0
    order: str = ""


class Tally(NamedTuple):
    """Hits refused without asking the store, in one Unix minute, and the sample of one of them ("": none)."""

    subject: str
    minute: int
    route: str
    outcome: str
    hits: int
    sample: str = ""


class Trace(NamedTuple):
    """What a page tells beside the decision: the Unix minute of the last refusal by the minute's or the day's
    limit, until when nothing strikes, since when the subject is clean (both in Unix seconds). 0 is never."""

    last_refusal: int = 0
    grace_until: int = 0
    clean_since: int = 0


def trace_of(store: LimitStore, subject: str) -> Trace:
    """In one round trip; `decide.lua` has the fields. Raises `redis.RedisError`."""
    found: list[Any] = store.client.hmget(keys_of(subject)[0], "lr", "l")
    last_refusal, packed = found
    place = [int.from_bytes(packed[at : at + 6], "big") for at in range(0, 30, 6)] if packed else [0] * 5
    return Trace(int(last_refusal or 0), grace_until=place[2], clean_since=place[3])


def place(
    store: LimitStore, subject: str, *, order: str, cause: Cause, escalation: int, grace: int, version: int
) -> int | None:
    """Put a subject where staff want it; the same order again, or one older than the last, changes nothing.

    `version` is the one that the order has in SQL. Gives the place's, or `None` if the store has lost its
    bucket. Raises `redis.RedisError`.
    """
    state, _, bucket, _, changes = keys_of(subject)
    keep = KEPT_SECONDS if escalation == 0 else 90 * 86_400
    arguments = (subject, order, cause, escalation, grace, version, keep, store.time_argument())
    placed: int | None = store.client.eval(PLACE, 3, state, bucket, changes, *arguments)
    return placed


def build(
    store: LimitStore,
    bucket: int,
    life: str,
    revisions: Mapping[str, int],
    remembered: Sequence[Remembered],
    ladder: Ladder,
) -> None:
    """Give a bucket that was lost what SQL remembers. Done by two at once, or twice, it is done once.

    `revisions` are those of the tiers by slug, and of the ladder. Raises `redis.RedisError`, also if the
    store loses the bucket once more while it is built.
    """
    key = f"{bucket_tag(bucket)}:t"
    parts = range(0, len(remembered), STATES_AT_A_TIME)
    for number, first in enumerate(parts):
        some = remembered[first : first + STATES_AT_A_TIME]
        keys = [key, *(keys_of(one.subject)[0] for one in some)]
        words = [word for one in some for word in (*one[1:], _seconds_to_keep(one, ladder))]
        if store.client.eval(BUILD, len(keys), *keys, life, number, "", 0, *words) < 1:
            break  # somebody else was faster, or the parts are gone: the last call tells
    pairs = [word for pair in revisions.items() for word in pair]
    if store.client.eval(BUILD, 1, key, life, len(parts), "last", len(revisions), *pairs) < 0:
        raise redis.RedisError("the bucket was lost once more while it was built")


def changes_since(store: LimitStore, cursors: Mapping[int, Cursor]) -> dict[int, Reading]:
    """The next changes of each bucket after its cursor, in their order, with the cursor behind them.

    Buckets without any are left out. One that has another life than its cursor is read from the beginning:
    ids may be smaller than before, if the clock went back between the two. Raises `redis.RedisError`.
    """
    pipeline = store.client.pipeline(transaction=False)
    for bucket, cursor in cursors.items():
        tag = bucket_tag(bucket)
        pipeline.hget(f"{tag}:t", LIFE)
        pipeline.xrange(f"{tag}:ev", min=f"({cursor.entry}", count=CHANGES_AT_A_TIME)
    replies = iter(pipeline.execute())
    found: dict[int, Reading] = {}
    for bucket, cursor in cursors.items():
        living, entries = next(replies), next(replies)
        life = cursor.life if living is None else living.decode()
        if life != cursor.life:
            entries = store.client.xrange(f"{bucket_tag(bucket)}:ev", count=CHANGES_AT_A_TIME)
        if entries:
            changes = [_change(entry.decode(), fields) for entry, fields in entries]
            found[bucket] = Cursor(life, changes[-1].entry), changes
    return found


def tally(store: LimitStore, batch: str, bucket: int, tallies: Iterable[Tally]) -> None:
    """Count hits of one bucket that were refused without the store; the same batch again counts nothing.

    At most `TALLIES_AT_A_TIME`. Raises `redis.RedisError`.
    """
    tag = bucket_tag(bucket)
    words: list[str | int] = []
    for one in tallies:
        words += (one.minute, f"{one.subject}|{one.route}|{one.outcome}", one.hits, one.sample)
    keys = (f"{tag}:u:", f"{tag}:hs:", f"{tag}:done:{batch}")
    store.client.eval(TALLY, 3, *keys, LATE_SECONDS, store.time_argument(), *words)


def _seconds_to_keep(one: Remembered, ladder: Ladder) -> int:
    return KEPT_SECONDS + one.escalation * ladder.decay_seconds + 30 * 86_400 * (one.escalation > 0)


def _change(entry: str, fields: Mapping[bytes, bytes]) -> Change:
    text = {name.decode(): value.decode() for name, value in fields.items()}
    limit = int(text["limit"])
    return Change(
        id=f"{text['life']}:{entry}",
        entry=entry,
        life=text["life"],
        order=text.get("order", ""),
        subject=text["subject"],
        cause=Cause(text["cause"]),
        before=int(text["before"]),
        after=int(text["after"]),
        until=int(text["until"]),
        strikes=int(text["strikes"]),
        minute=int(text["minute"]),
        served=int(text["served"]),
        refused=int(text["refused"]),
        minute_limit=None if limit < 0 else limit,
        route=text["route"],
        at=int(text["at"]),
        version=int(text["version"]),
        clean_since=int(text["clean_since"]),
        grace_until=int(text["grace_until"]),
    )
