"""What the sample accounts did before anybody looked: a month in the books, and what it led to.

Written at once at the first `up --demo`, in a database in which nobody has been yet. It is the same each time
but for the day it ends on: chance has a seed. What comes afterwards is booked as in any panel.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from accounts import api_keys
from accounts.models import ApiKey, AuditEntry, KeySecret, Tier, User
from koalapanel.demo.books import Books, Caller
from koalapanel.demo.climbs import Climb
from koalapanel.demo.habits import Habit, live
from usage.escalation.ladder import SUSPENDED
from usage.escalation.policy import read_ladder
from usage.models import (
    BookedUntil,
    EscalationEvent,
    EscalationState,
    Notice,
    RateHit,
    ReactivationRequest,
    UsageDay,
)
from usage.spans import DAY, HOUR, MINUTE, day_start
from usage.subjects import key_subject_id

POLLY, BEN, HARRY, FIONA = (f"{name}@example.com" for name in ("polly", "ben", "harry", "fiona"))
ADA, SUE, LIONEL = (f"{name}@example.com" for name in ("admin", "sue", "lionel"))
GUEST = "ip:198.51.100.23"

_SHOP = Caller("203.0.113.20", "WebShop/4.2 (+https://shop.example.com)")
_NIGHTLY = Caller("198.51.100.70", "python-requests/2.32.3")
_PROD = Caller("192.0.2.45", "Go-http-client/2.0")
_FOLDERS = Caller("203.0.113.88", "curl/8.5.0")
_SCRAPER = Caller("192.0.2.46", "scraper/0.3 (aiohttp 3.9)")
_BROWSER = Caller("198.51.100.23", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0")


@dataclass(frozen=True, slots=True)
class _MoreKeys:
    """A key that no sample client uses. `days_old` is its age, `ends_in` what is left of it."""

    owner: str
    name: str
    days_old: int
    tier: str = "free"
    ends_in: timedelta | None = None
    fields: dict[str, Any] = field(default_factory=dict)


_MORE_KEYS = (
    _MoreKeys(POLLY, "old web shop", 190, fields={"status": ApiKey.Status.REVOKED}),
    _MoreKeys(POLLY, "staging", 85, ends_in=5 * DAY),
    _MoreKeys(POLLY, "rehearsal", 12, fields={"is_rehearsal": True}),
    _MoreKeys(BEN, "image import", 60, tier="pro"),
    _MoreKeys(HARRY, "scraper", 26),
    _MoreKeys(FIONA, "scanner", 3, ends_in=87 * DAY, fields={"allowed_networks": ["203.0.113.0/24"]}),
)


def is_there() -> bool:
    """Whether the books have been written in."""
    return any(model._default_manager.exists() for model in (UsageDay, RateHit, BookedUntil, EscalationState))


def write(keys: Mapping[str, ApiKey], now: datetime) -> None:
    """`keys` are those of the sample accounts, by email. In the caller's transaction."""
    chance = random.Random("koalapanel")  # noqa: S311  (a story, no secret)
    people = {user.email: user for user in User.objects.all()}
    more = {one.name: _made(one, people, now) for one in _MORE_KEYS}
    books = Books(now.replace(second=0, microsecond=0))
    _climb(books, keys, more, people, chance)
    for subject, habit in _habits(keys, more).items():
        live(books, subject, habit, chance)
    books.write()
    _make_old([*keys.values(), *more.values()], books, now)
    _write_audit(keys, more, people, now)


def _made(one: _MoreKeys, people: Mapping[str, User], now: datetime) -> ApiKey:
    key, _ = api_keys.issue(
        people[one.owner],
        name=one.name,
        tier=Tier.objects.get(slug=one.tier),
        created_at=_some_days_ago(now, one.days_old),
        expires_at=now + one.ends_in if one.ends_in else None,
        **one.fields,
    )
    return key


def _climb(
    books: Books,
    keys: Mapping[str, ApiKey],
    more: Mapping[str, ApiKey],
    people: Mapping[str, User],
    chance: random.Random,
) -> None:
    """Three stories: one suspended and reactivated, one suspended and waiting, one that has calmed down."""
    today, ladder = day_start(books.present), read_ladder()

    def climb(key: ApiKey, caller: Caller, days: int, at: timedelta) -> Climb:
        return Climb(books, ladder, key, caller, chance, [], [], today - days * DAY + at)

    reason = "Their client waits for Retry-After now; we watched it for a day."
    prod = climb(keys[HARRY], _PROD, 17, 10 * HOUR + 12 * MINUTE).up_to(SUSPENDED)
    suspended_at = prod.events[-1].at
    prod.reactivated(suspended_at + 19 * HOUR, people[SUE], reason)
    scraper = climb(more["scraper"], _SCRAPER, 4, 9 * HOUR + 10 * MINUTE).up_to(SUSPENDED)
    nightly = climb(keys[BEN], _NIGHTLY, 9, 1 * HOUR + 20 * MINUTE).up_to(3).ease()
    climbs = [prod, scraper, nightly]
    states = [one.ended() for one in climbs]
    EscalationEvent.objects.bulk_create(event for one in climbs for event in one.events)
    EscalationState.objects.bulk_create(states)
    Notice.objects.bulk_create(notice for one in climbs for notice in one.notices)
    ApiKey.objects.filter(pk=more["scraper"].pk).update(status=ApiKey.Status.SUSPENDED)
    ReactivationRequest.objects.create(
        key=keys[HARRY],
        suspension=EscalationEvent.objects.get(event_id=prod.events[-2].event_id),
        note="It tried again at once after each 429. Now it reads Retry-After and sleeps that long.",
        sent_at=suspended_at + 2 * HOUR,
        sent_by=people[HARRY],
        status=ReactivationRequest.Status.REACTIVATED,
        answered_at=prod.events[-1].at,
        answered_by=people[SUE],
        answer=reason,
    )
    ReactivationRequest.objects.create(
        key=more["scraper"],
        suspension=EscalationEvent.objects.get(event_id=scraper.events[-1].event_id),
        note="A loop had no pause after an error. It has one now, and one worker instead of ten.",
        sent_at=books.present - 5 * HOUR - 20 * MINUTE,
        sent_by=people[HARRY],
    )


def _habits(keys: Mapping[str, ApiKey], more: Mapping[str, ApiKey]) -> dict[str, Habit]:
    """By subject. A day of each stays well below its limit: the living clients need the rest of today's."""

    def of(key: ApiKey) -> str:
        return key_subject_id(key.pk)

    office, always = range(7, 20), range(24)
    return {
        of(keys[ADA]): Habit(_SHOP, 30, range(9, 17), 1, (2, 9), 4, weekend=0.0),
        of(keys[POLLY]): Habit(_SHOP, 30, office, 2, (6, 22), 9, overdoes=0.02, lately=4),
        of(more["staging"]): Habit(_SHOP, 30, range(10, 16), 1, (1, 6), 3, weekend=0.0),
        of(keys[BEN]): Habit(
            *(_NIGHTLY, 60, range(1, 4), 3, (240, 420), 60), overdoes=0.5, over=(1, 8), weekend=1.0, lately=1
        ),
        of(more["image import"]): Habit(_NIGHTLY, 120, always, 2, (4, 14), 8, weekend=0.9),
        of(keys[HARRY]): Habit(
            *(_PROD, 30, range(8, 19), 1, (8, 22), 18), overdoes=0.6, over=(1, 5), lately=4
        ),
        of(more["scraper"]): Habit(
            *(_SCRAPER, 30, always, 1, (12, 26), 20), overdoes=0.2, over=(1, 5), since_days=24
        ),
        of(keys[FIONA]): Habit(
            *(_FOLDERS, 30, office, 1, (2, 10), 3), overdoes=0.12, kind="queued", route="batch", lately=3
        ),
        GUEST: Habit(
            *(_BROWSER, 10, range(12, 23), 1, (2, 9), 8),
            overdoes=0.1,
            over=(1, 4),
            route="compress",
            weekend=1.3,
        ),
    }


def _some_days_ago(now: datetime, days: int) -> datetime:
    """So many days before, at some time of people's working day."""
    return day_start(now) - days * DAY + 8 * HOUR + MINUTE * (days * 97 % 600)


def _make_old(keys: list[ApiKey], books: Books, now: datetime) -> None:
    """As if accounts and keys had been made when their past begins, and used when the books say so."""
    User.objects.update(date_joined=now - 200 * DAY)
    last = books.last_minutes()
    for number, key in enumerate(keys):
        if now - key.created_at < DAY:
            key.created_at = _some_days_ago(now, 90 + 11 * number)
            ApiKey.objects.filter(pk=key.pk).update(created_at=key.created_at)
        used = last.get(key_subject_id(key.pk))
        KeySecret.objects.filter(key=key).update(created_at=key.created_at, last_used_at=used)


def _write_audit(
    keys: Mapping[str, ApiKey], more: Mapping[str, ApiKey], people: Mapping[str, User], now: datetime
) -> None:
    def entry(
        at: datetime, by: str, action: str, key: ApiKey, before: object, after: object, reason: str = ""
    ) -> AuditEntry:
        return AuditEntry(
            at=at,
            actor=people[by],
            actor_label=by,
            action=action,
            target_type=key._meta.label_lower,
            target_id=str(key.pk),
            target_label=str(key),
            before=before,
            after=after,
            reason=reason,
        )

    entries = [
        entry(key.created_at, key.owner.email, "created", key, {}, {"start": key.start, "name": key.name})
        for key in (*keys.values(), *more.values())
    ]
    limits = keys[BEN]
    entries += [
        entry(
            *(_some_days_ago(now, 33), LIONEL, "changed limits", limits),
            *({"minute_override": None}, {"minute_override": limits.minute_override}),
            "Their nightly run takes both of our machines at 120 a minute. Agreed with Ben.",
        ),
        entry(
            *(_some_days_ago(now, 21), LIONEL, "changed limits", keys[FIONA]),
            *({"queued_override": None}, {"queued_override": keys[FIONA].queued_override}),
            "Whole folders at once kept others waiting.",
        ),
        entry(
            *(_some_days_ago(now, 20), POLLY, "revoked", more["old web shop"]),
            *({"status": "active"}, {"status": "revoked"}),
        ),
        entry(
            *(_some_days_ago(now, 12), POLLY, "changed expiry", more["staging"]),
            *({"expires_at": None}, {"expires_at": f"{more['staging'].expires_at:%Y-%m-%dT%H:%M:%S+00:00}"}),
        ),
    ]
    for event in EscalationEvent.objects.filter(cause=EscalationEvent.Cause.REACTIVATED).select_related(
        "key"
    ):
        if event.key is not None:
            before, after = {"status": "suspended", "escalation": 5}, {"status": "active", "escalation": 0}
            entries.append(entry(event.at, SUE, "reactivated", event.key, before, after, event.reason))
    AuditEntry.objects.bulk_create(sorted(entries, key=lambda one: one.at))
