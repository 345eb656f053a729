"""The totals over time, for staff's charts: 24 hours and 30 days, by tier; and what refused."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import BigIntegerField, CharField, DateTimeField, Min, Sum, Value
from django.db.models.functions import Cast, Concat, TruncDay

from accounts.models import Tier
from usage.books.series import DAYS, HOURS
from usage.limits.outcomes import ADMITTED
from usage.models import HitTotal, TotalledUntil, UsageTotal
from usage.models.usage import REFUSED
from usage.spans import DAY, HOUR, day_start, hour_start, minute_start

_TIER = "tier "  # and its name: what a row tells of that is nothing else


class Total(NamedTuple):
    """What one tier's subjects did in a span of time."""

    admitted: int
    refused: int


# Start -> tier's slug (empty: keys that were deleted) -> total; spans and tiers without any are left out.
Totals = dict[datetime, dict[str, Total]]


class TotalSeries(NamedTuple):
    """`hours` and `days` are the starts, the oldest first and none left out; `refused_by` is of those hours.

    `tiers` are those there are, by slug, with their names. All of it is as of `until`, the end of the last
    minute that is in it; `None` before there was any.
    """

    hours: list[datetime]
    days: list[datetime]
    by_hour: Totals
    by_day: Totals
    refused_by: dict[str, int]
    tiers: dict[str, str]
    until: datetime | None


def total_series(now: datetime) -> TotalSeries:
    """One query, so that all of it is of one moment."""
    hours = _starts(hour_start(now), HOUR, HOURS)
    days = _starts(day_start(now), DAY, DAYS)
    totals: dict[str, Totals] = {"hour": {}, "day": {}}
    refused_by: dict[str, int] = {}
    tiers: dict[int, tuple[str, str]] = {}
    until = None
    for name, start, text, first, second in _rows(hours[0], days[0]):
        match name:
            case "until":
                until = minute_start(first + 1) if first else None  # 0: of a bucket that was never summed up
            case "kind":
                refused_by[text] = first
            case "hour" | "day":
                totals[name].setdefault(start, {})[text] = Total(first, second)
            case _:
                tiers[first] = (text, name.removeprefix(_TIER))
    in_order = dict(tiers[pk] for pk in sorted(tiers))
    return TotalSeries(hours, days, totals["hour"], totals["day"], refused_by, in_order, until)


def _starts(last: datetime, length: timedelta, number: int) -> list[datetime]:
    return [last - length * before for before in reversed(range(number))]


def _rows(hour: datetime, day: datetime) -> Iterable[tuple[str, datetime, str, int, int]]:
    """Since the first hour and the first day: what it is, start, tier or kind, and two numbers."""
    by_hour = (
        UsageTotal.objects.since(hour)
        .order_by()
        .values_list(Value("hour"), "start", "tier", ADMITTED, Cast(REFUSED, BigIntegerField()))
    )
    by_day = (
        UsageTotal.objects.since(day)
        .order_by()
        .values(name=Value("day"), day=TruncDay("start"), of=Cast("tier", CharField()))
        .annotate(
            served=Cast(Sum(ADMITTED), BigIntegerField()), refused=Cast(Sum(REFUSED), BigIntegerField())
        )
        .values_list("name", "day", "of", "served", "refused")
    )
    by_kind = (
        HitTotal.objects.since(hour)
        .order_by()
        .values(name=Value("kind"), no_start=Cast(Value(None), DateTimeField()), of=Cast("kind", CharField()))
        .annotate(count=Cast(Sum("count"), BigIntegerField()), none=Value(0))
        .values_list("name", "no_start", "of", "count", "none")
    )
    until = (
        TotalledUntil.objects.order_by()
        .values(name=Value("until"), no_start=Cast(Value(None), DateTimeField()), of=Value(""))
        .annotate(first=Cast(Min("minute"), BigIntegerField()), none=Value(0))
        .values_list("name", "no_start", "of", "first", "none")
    )
    tiers = Tier.objects.order_by().values_list(
        Concat(Value(_TIER), "name"), Cast(Value(None), DateTimeField()), "slug", "pk", Value(0)
    )
    return by_hour.union(by_day, by_kind, until, tiers, all=True)
