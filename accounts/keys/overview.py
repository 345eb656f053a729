"""Keys as pages list them, with what is known of each; the cost doesn't grow with their number."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, Q, QuerySet

from accounts.keys.facts import KeyFacts, facts_of
from accounts.keys.status import Status, status_of
from accounts.models import ApiKey, User


@dataclass(frozen=True, slots=True)
class Overview:
    """A key and how it stands. `facts` is `None` while nobody knows them."""

    key: ApiKey
    status: Status
    facts: KeyFacts | None
    last_used_at: datetime | None
    rotating_until: datetime | None

    @property
    def is_revoked(self) -> bool:
        return self.key.status == ApiKey.Status.REVOKED


def keys_of(owner: User, now: datetime) -> QuerySet[ApiKey]:
    """The account's keys, the newest first, with what `overviews` reads of their secrets: one query."""
    return (
        ApiKey.objects.owned_by(owner)
        .select_related("tier")
        .annotate(
            last_used_at=Max("secrets__last_used_at"),
            rotating_until=Max("secrets__retires_at", filter=Q(secrets__retires_at__gt=now)),
        )
        .order_by("-created_at", "-pk")
    )


def overviews(keys: Iterable[ApiKey], now: datetime) -> list[Overview]:
    """Of keys that `keys_of` gave."""
    keys = list(keys)
    facts = facts_of([key for key in keys if key.status != ApiKey.Status.REVOKED])
    return [_overview(key, facts.get(key.pk), now) for key in keys]


def _overview(key: ApiKey, facts: KeyFacts | None, now: datetime) -> Overview:
    last_used_at: datetime | None = key.last_used_at  # type: ignore[attr-defined]  # annotated
    rotating_until: datetime | None = key.rotating_until  # type: ignore[attr-defined]
    return Overview(key, status_of(key, facts, rotating_until, now), facts, last_used_at, rotating_until)
