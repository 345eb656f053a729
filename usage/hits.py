"""Hits: what was refused, from the books and, for what isn't booked yet, from the limit store."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from django.db.models import Q, Sum, Window

from usage.books import watermark
from usage.books.unbooked import counts_of
from usage.limits.outcomes import ADMITTED, BY_THE_LADDER, FAILED
from usage.models import RateHit
from usage.models.rate_hit import RateHitQuerySet
from usage.spans import DAY, MINUTE, minute_start

RECENT_HITS = 50
HITS_PERIOD = DAY
# Older minutes that aren't booked yet are left to the books: the worker has been away for a day.
LONGEST_UNBOOKED = 24 * 60

_COLUMNS = ("minute", "route", "kind", "count", "address", "user_agent")


@dataclass(frozen=True, slots=True)
class Hit:
    """Requests refused in one minute, on one route, by one limit or by the ladder.

    `address` and `user_agent` are one of theirs; "" where no sample was kept, or none has been booked yet.
    """

    at: datetime
    route: str
    kind: str
    count: int
    address: str = ""
    user_agent: str = ""

    @property
    def by_the_ladder(self) -> bool:
        return self.kind in BY_THE_LADDER


@dataclass(frozen=True, slots=True)
class Hits:
    """What was refused in the last 24 hours: how many requests, how many by the ladder, and the newest."""

    total: int
    by_the_ladder: int
    newest: list[Hit]


class Before(NamedTuple):
    """Where a page of hits ends and the next, older one begins: at this row of the books."""

    minute: int  # Unix minutes
    pk: int

    def __str__(self) -> str:
        return f"{self.minute}-{self.pk}"

    @classmethod
    def read(cls, text: str) -> "Before | None":
        """What `str` wrote; `None` for anything else."""
        minute, dash, pk = text.partition("-")
        is_one = dash and all(part.isascii() and part.isdigit() and len(part) < 16 for part in (minute, pk))
        return cls(int(minute), int(pk)) if is_one and int(minute) < 10**8 else None


@dataclass(frozen=True, slots=True)
class HitsPage:
    """A page of a subject's hits, the newest first; `older` leads on, if there are more."""

    hits: list[Hit]
    older: Before | None


def recent_hits(subject_id: str, now: int, booked_until: int | None = None) -> Hits:
    """Of the last 24 hours, up to `now` in Unix seconds on the store's clock.

    Two queries and one round trip; raises `redis.RedisError`. `booked_until` is the watermark of its
    bucket, if the caller has read it before: one query less.
    """
    last_minute = now // 60
    first_minute = last_minute - HITS_PERIOD // MINUTE + 1
    # The watermark is read first: what is booked meanwhile is then counted once, from the store.
    mark = watermark.booked_until(subject_id) if booked_until is None else booked_until
    booked_until = max(mark, first_minute - 1)
    unbooked = list(_unbooked(subject_id, booked_until, last_minute))
    booked = booked_hits(subject_id, minute_start(first_minute), minute_start(booked_until))
    return Hits(
        booked.total + sum(hit.count for hit in unbooked),
        booked.by_the_ladder + sum(hit.count for hit in unbooked if hit.by_the_ladder),
        (unbooked + booked.newest)[:RECENT_HITS],
    )


def booked_hits(subject_id: str, first: datetime, last: datetime) -> Hits:
    """Of the minutes from `first` to `last`, as far as they are booked; one query."""
    # The sums go over all of them, before the limit cuts off what isn't shown.
    rows = list(
        RateHit.objects.of_subject(subject_id)
        .between(first, last)
        .values_list(
            *_COLUMNS,
            Window(Sum("count")),
            Window(Sum("count", filter=Q(kind__in=BY_THE_LADDER))),
        )[:RECENT_HITS]
    )
    total, by_the_ladder = rows[0][6:] if rows else (0, 0)
    return Hits(total, by_the_ladder or 0, [Hit(*row[:6]) for row in rows])


def page_of_hits(
    subject_id: str, *, kind: str = "", before: Before | None = None, now: int | None = None
) -> HitsPage:
    """All that is kept of a subject, by pages; with a `kind`, what that refused alone.

    `now` (Unix seconds) has the first page begin with what isn't booked yet. Two queries at most, and one
    round trip on the first page; raises `redis.RedisError`.
    """
    unbooked: list[Hit] = []
    rows = RateHit.objects.of_subject(subject_id).order_by("-minute", "-pk")
    if now is not None and before is None:
        unbooked, rows = _newest(subject_id, now, rows)
    if kind:
        rows = rows.filter(kind=kind)
        unbooked = [hit for hit in unbooked if hit.kind == kind]
    if before is not None:
        minute = minute_start(before.minute)
        rows = rows.filter(minute__lte=minute).exclude(minute=minute, pk__gte=before.pk)
    found = list(rows.values_list("pk", *_COLUMNS)[: RECENT_HITS + 1])
    older = None
    if len(found) > RECENT_HITS:
        last = found[RECENT_HITS - 1]
        older = Before(int(last[1].timestamp()) // 60, last[0])
    return HitsPage(unbooked + [Hit(*row[1:]) for row in found[:RECENT_HITS]], older)


def all_hits(subject_id: str, now: int | None) -> Iterator[Hit]:
    """Every hit that is kept of a subject, the newest first; what is booked is read as it is asked for.

    `now` as for `page_of_hits`: the limit store is asked before this returns; raises `redis.RedisError`.
    """
    unbooked: list[Hit] = []
    rows = RateHit.objects.of_subject(subject_id).order_by("-minute", "-pk")
    if now is not None:
        unbooked, rows = _newest(subject_id, now, rows)
    booked = rows.values_list(*_COLUMNS).iterator(chunk_size=2000)
    return chain(unbooked, (Hit(*row) for row in booked))


def _newest(subject_id: str, now: int, rows: RateHitQuerySet) -> tuple[list[Hit], RateHitQuerySet]:
    """What isn't booked yet, and of `rows` those that were: a minute that is booked meanwhile comes once."""
    booked_until = watermark.booked_until(subject_id)
    return (
        list(_unbooked(subject_id, booked_until, now // 60)),
        rows.filter(minute__lte=minute_start(booked_until)),
    )


def _unbooked(subject_id: str, booked_until: int, last_minute: int) -> Iterator[Hit]:
    """The newest first."""
    counts = counts_of(
        subject_id, range(max(booked_until, last_minute - LONGEST_UNBOOKED) + 1, last_minute + 1)
    )
    for minute in sorted(counts, reverse=True):
        for (route, outcome), n in sorted(counts[minute].items()):
            if outcome not in (ADMITTED, FAILED):
                yield Hit(minute_start(minute), route, outcome, n)
