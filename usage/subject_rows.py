"""Subjects as staff's lists show them: who it is, one status, what the counters say, in one round trip."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import redis
from django.db.models import Max, Q, QuerySet

from accounts.keys.facts import KeyFacts
from accounts.keys.status import Status, status_of
from accounts.models import ApiKey, Tier
from usage import subjects
from usage.escalation.ladder import GUEST_PREFIX
from usage.key_facts import facts_of_subjects
from usage.limits.health import is_store_down
from usage.limits.store import limit_store
from usage.subjects import key_id_of


@dataclass(frozen=True, slots=True)
class Row:
    """`facts` is `None` while nobody knows them. A `key` has its owner and tier; a guest has a `network`."""

    subject: str
    status: Status
    facts: KeyFacts | None
    key: ApiKey | None = None
    network: str = ""


def rows_of(ids: Iterable[str], now: datetime, anonymous: Tier) -> list[Row]:
    """In their order, without keys that are gone; `anonymous` is the tier of guests.

    One query for all keys, one for the ladder, one round trip.
    """
    ids = list(ids)
    pks = [pk for one in ids if (pk := key_id_of(one)) is not None]
    keys: Mapping[int, ApiKey] = keys_for_rows(now).in_bulk(pks) if pks else {}
    guests = {one: one.removeprefix(GUEST_PREFIX) for one in ids if key_id_of(one) is None}
    facts = facts_of_subjects(
        [
            *(subjects.of_limits(key) for key in keys.values() if key.status != ApiKey.Status.REVOKED),
            *(subjects.of_network(network, anonymous) for network in guests.values()),
        ]
    )
    rows = []
    for one in ids:
        known = facts.get(one)
        if one in guests:
            rows.append(Row(one, guest_status(known), known, network=guests[one]))
        elif (key := keys.get(key_id_of(one) or 0)) is not None:
            rotating: datetime | None = key.rotating_until  # type: ignore[attr-defined]  # annotated
            rows.append(Row(one, status_of(key, known, rotating, now), known, key=key))
    return rows


def guest_status(facts: KeyFacts | None) -> Status:
    """As `status_of` has it of keys."""
    if facts is None:
        return Status("unknown", "Unknown", "unknown", "The limit store can't be asked just now.")
    if facts.blocked_until is not None:
        sentence = "Charged requests from this address are refused."
        return Status("blocked", "Blocked", "full", sentence, facts.blocked_until, "Served again")
    return Status("active", "Active", "ok", "Its requests are served, within the limits of guests.")


def now_in_store() -> datetime:
    """On the limit store's clock, by which blocks end; on our own while it can't be asked."""
    if not is_store_down():
        try:
            return datetime.fromtimestamp(limit_store().now(), UTC)
        except redis.RedisError:
            pass
    return datetime.now(UTC)


def keys_for_rows(now: datetime) -> QuerySet[ApiKey]:
    """Keys with owner and tier, when they were last used, and until when an old secret works."""
    return (
        ApiKey.objects.select_related("tier", "owner")
        .annotate(
            last_used_at=Max("secrets__last_used_at"),
            rotating_until=Max("secrets__retires_at", filter=Q(secrets__retires_at__gt=now)),
        )
        .order_by()
    )
