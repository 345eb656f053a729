"""What staff take back in the limit store: what is counted of a subject, and the leases it holds."""

from importlib.resources import files
from typing import NamedTuple

from usage.limits.store import LEASE_MS, LimitStore, keys_of

RESET = (files("usage.limits") / "reset.lua").read_text()
ALL_LEASES = "*"


class Found(NamedTuple):
    """What enforced until the reset, as `reset.lua` replies it; `at` in Unix seconds, `last_refusal` in Unix
    minutes: one that warns, 0 is none."""

    at: int
    minute: int
    day: int
    strikes: int
    refusals: int
    last_refusal: int
    in_flight: int
    released: int


class Lease(NamedTuple):
    """A request in flight: the id of its lease, since when, and when it ends by itself (Unix seconds)."""

    id: str
    since: int
    expires: int


class Counters(NamedTuple):
    """What no decision tells: refusals that may make their minute a strike, and who is in flight."""

    refusals: int
    in_flight: int
    leases: list[Lease]


def reset(
    store: LimitStore,
    subject: str,
    *,
    order: str,
    minute: bool = False,
    day: bool = False,
    strikes: bool = False,
    lease: str = "",
) -> Found | None:
    """Set counters back, or take a lease back (or `ALL_LEASES`); the same again changes nothing more, unless
    there was nothing to change.

    Gives what was there before, or `None` if the store has lost the subject's bucket. Raises
    `redis.RedisError`.
    """
    state, leases, bucket, _, _ = keys_of(subject)
    flags = ("1" if flag else "" for flag in (minute, day, strikes))
    words = (order, *flags, lease, store.time_argument())
    reply: list[int] | None = store.client.eval(RESET, 3, state, leases, bucket, *words)
    return None if reply is None else Found(*reply)


def counters_of(store: LimitStore, subject: str, now: int, most: int) -> Counters:
    """As of `now` (Unix seconds), with the `most` leases that end first: one round trip.

    Raises `redis.RedisError`.
    """
    state, leases, _, _, _ = keys_of(subject)
    running = f"({now * 1000}"
    pipeline = store.client.pipeline(transaction=False)
    pipeline.hmget(state, "m", "mh")
    pipeline.zcount(leases, running, "+inf")
    pipeline.zrangebyscore(leases, running, "+inf", start=0, num=most, withscores=True)
    (minute, refusals), in_flight, held = pipeline.execute()
    return Counters(
        refusals=int(refusals or 0) if int(minute or 0) == now // 60 else 0,
        in_flight=in_flight,
        leases=[
            Lease(lease.decode(), (int(expiry) - LEASE_MS) // 1000, int(expiry) // 1000)
            for lease, expiry in held
        ],
    )
