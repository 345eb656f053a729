"""Whom a tier's limit holds, and who is above a number that is proposed for it: for the preview of a change.

A bounded look at what the books, the counters and the queues know: the busiest first, and never all keys.
"""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis
from django.db.models import Count, Max, Q

from accounts.models import ApiKey, Tier
from accounts.tiers import LIMIT_KINDS
from usage import subjects
from usage.escalation.ladder import GUEST_PREFIX
from usage.job_counts import JobCounts, busy_above
from usage.limits.health import is_store_down
from usage.limits.link import LimitStoreDown
from usage.limits.store import NEWEST, limit_store
from usage.models import UsageDay, UsageMinute
from usage.spans import day_start
from usage.subjects import key_id_of, key_subject_id

# Rows that are looked at for each kind: the busiest of all tiers, of which those of this one are shown.
LOOKED_AT = 500
ASKED = 50  # subjects whose leases the limit store is asked for
SHOWN = 10  # named for each kind
LATELY = timedelta(minutes=3)  # what is booked of it: the worker may be a minute behind
MOST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Held:
    """How many keys a tier's limit holds: all of the tier's but those with a number of their own."""

    keys: int
    own: int

    @property
    def all(self) -> int:
        return self.keys + self.own


@dataclass(frozen=True, slots=True)
class Above:
    """Who used more than is proposed: a subject, or for jobs the account of one."""

    name: str
    detail: str
    used: int
    subject_id: str


def held_by(tier: Tier) -> dict[str, Held]:
    """By limit kind. Two queries: 4 ms for 70,000 keys, 1,000 of them with overrides."""
    keys = ApiKey.objects.in_force().filter(tier=tier).order_by().count()
    own = (
        ApiKey.objects.with_overrides()
        .in_force()
        .filter(tier=tier)
        .aggregate(**{kind: Count(f"{kind}_override") for kind in LIMIT_KINDS})
    )
    return {kind: Held(keys - own[kind], own[kind]) for kind in LIMIT_KINDS}


def above(tier: Tier, lowered: Mapping[str, int], now: datetime) -> dict[str, list[Above]]:
    """Who is above the numbers that are proposed for some kinds; at most four queries and a round trip.

    `day` is today as far as it is booked, `minute` the most of the last minutes, the others are of now. A
    kind that nobody could be asked about (the limit store is away) is left out.
    """
    used: dict[str, dict[str, int]] = {}
    prefix = GUEST_PREFIX if tier.slug == Tier.ANONYMOUS else key_subject_id(0)[:2]
    if (most := lowered.get("day")) is not None:
        used["day"] = _day_uses(prefix, most, now)
    lately = _minute_uses(prefix, now) if {"minute", "concurrent"} & lowered.keys() else {}
    if (most := lowered.get("minute")) is not None:
        used["minute"] = {one: n for one, n in lately.items() if n > most}
    if (most := lowered.get("concurrent")) is not None and not is_store_down():
        busiest = list(lately)[:ASKED]
        with contextlib.suppress(LimitStoreDown, redis.RedisError):
            used["concurrent"] = {one: n for one, n in _in_flight(tier, busiest).items() if n > most}
    jobs = _jobs(tier, lowered)
    if tier.slug == Tier.ANONYMOUS:
        guests = {kind: [_guest(*use) for use in uses.items()][:SHOWN] for kind, uses in used.items()}
        return guests | {kind: [_guest(*use) for use in uses.items()][:SHOWN] for kind, uses in jobs.items()}
    return _named(tier, used, jobs)


def _day_uses(prefix: str, most: int, now: datetime) -> dict[str, int]:
    rows = UsageDay.objects.filter(start=day_start(now), subject__startswith=prefix, admitted__gt=most)
    return dict(rows.order_by("-admitted").values_list("subject", "admitted")[:LOOKED_AT])


def _minute_uses(prefix: str, now: datetime) -> dict[str, int]:
    rows = UsageMinute.objects.filter(start__gt=now - LATELY, subject__startswith=prefix)
    most_used = rows.order_by().values("subject").annotate(used=Max("admitted")).order_by("-used")
    return dict(most_used.values_list("subject", "used")[:LOOKED_AT])


def _in_flight(tier: Tier, subject_ids: list[str]) -> dict[str, int]:
    asked = [
        subjects.Subject(one, tier.limits, tier.slug, NEWEST, key_revision=NEWEST) for one in subject_ids
    ]
    decisions = limit_store().look_at(asked, limit_store().ladder) if asked else []
    return {one.id: decision.in_flight for one, decision in zip(asked, decisions, strict=True)}


def _jobs(tier: Tier, lowered: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """By kind and by whose jobs they are: `a:<account id>`, or a guest's subject."""
    kinds = [kind for kind in ("parallel", "queued") if kind in lowered]
    if not kinds:
        return {}
    most = JobCounts(lowered.get("parallel", MOST), lowered.get("queued", MOST))
    is_guests = tier.slug == Tier.ANONYMOUS
    found: dict[str, dict[str, int]] = {kind: {} for kind in kinds}
    for busy in busy_above(most, LOOKED_AT):
        if (busy.account_id is None) is not is_guests:
            continue
        now = {"parallel": busy.counts.running, "queued": busy.counts.queued}
        for kind in kinds:
            if now[kind] > lowered[kind]:
                found[kind][busy.subject_id] = now[kind]
    return found


def _named(
    tier: Tier, used: Mapping[str, Mapping[str, int]], jobs: Mapping[str, Mapping[str, int]]
) -> dict[str, list[Above]]:
    """With the keys of this tier that the limits hold. One query for all kinds."""
    key_ids = {key_id_of(one) for uses in used.values() for one in uses}
    accounts = {int(one.partition(":")[2]) for uses in jobs.values() for one in uses}
    keys = list(
        ApiKey.objects.in_force()
        .filter(Q(pk__in=key_ids) | Q(owner__in=accounts), tier=tier)
        .select_related("owner")
        .order_by("pk")
    )
    by_id = {key_subject_id(key.pk): key for key in keys}
    found: dict[str, list[Above]] = {}
    for kind, uses in used.items():
        held = [(by_id[one], n) for one, n in uses.items() if one in by_id]
        found[kind] = [_key(key, n) for key, n in held if kind not in key.overrides][:SHOWN]
    for kind, uses in jobs.items():
        owners = {f"a:{key.owner_id}": key for key in keys if kind not in key.overrides}
        held = [(owners[one], n) for one, n in uses.items() if one in owners]
        found[kind] = [_account(key, n) for key, n in _most(held)][:SHOWN]
    return found


def _most(held: Iterable[tuple[ApiKey, int]]) -> list[tuple[ApiKey, int]]:
    return sorted(held, key=lambda one: -one[1])


def _key(key: ApiKey, used: int) -> Above:
    return Above(key.name, f"{key.start}… of {key.owner.email}", used, key_subject_id(key.pk))


def _account(key: ApiKey, used: int) -> Above:
    """By one of its keys, whose page has the others."""
    return Above(key.owner.email, "all of its keys", used, key_subject_id(key.pk))


def _guest(subject_id: str, used: int) -> Above:
    return Above(subject_id.removeprefix(GUEST_PREFIX), "network", used, subject_id)
