"""What the overview tells: a dozen numbers and names, none of which takes a sum over all subjects."""

from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import NamedTuple

from accounts.models import ApiKey
from usage.books.total_series import Total, Totals, TotalSeries, total_series
from usage.charts import Chart, Span, Stack
from usage.models import EscalationState, ReactivationRequest, TopSubject
from usage.staff.degraded import Degraded, judged
from usage.staff.vital_signs import books_and_vital_signs
from usage.subjects import key_id_of
from usage.vitals import Vital

SPANS = (Span.DAY, Span.MONTH)
MOST = 500  # counting further would cost more than the number is worth
LISTED = 6  # of those who are blocked
# Of the chart's parts, one after the other; a fifth tier looks like the first.
ROLES = ("one", "two", "three", "four")
GONE = "Deleted keys"


class Blocked(NamedTuple):
    subject: str
    name: str
    escalation: int
    until: datetime


class Top(NamedTuple):
    """`name` is a key's, and `owner` its owner's address; both empty for a network, or a key that is gone."""

    subject: str
    name: str
    owner: str
    number: int
    other: int


class Count(NamedTuple):
    """A number that stops at `MOST`."""

    number: int

    def __str__(self) -> str:
        return f"{MOST:,}+" if self.number > MOST else f"{self.number:,}"


@dataclass(frozen=True, slots=True)
class Overview:
    """`served` and `refused` are of the last 24 hours, `until` says as of when they are."""

    now: datetime
    until: datetime | None
    degraded: Degraded
    chart: Chart
    served: int
    refused: int
    refused_by: list[tuple[str, int, int]]
    blocked: Count
    newest_blocked: list[Blocked]
    waiting: Count
    waiting_since: datetime | None
    top_day: datetime | None
    most_served: list[Top]
    most_refused: list[Top]
    vitals: list[Vital]

    @property
    def refused_percent(self) -> float:
        asked = self.served + self.refused
        return self.refused * 100 / asked if asked else 0.0


def overview_facts(now: datetime, span: Span, *, with_subjects: bool) -> Overview:
    """Four queries, one for each provider of vital signs, and with subjects two more."""
    series = total_series(now)
    day = [total for of_tier in series.by_hour.values() for total in of_tier.values()]
    booked_until, vitals = books_and_vital_signs(now)
    blocked = _blocked(now)
    waiting = list(ReactivationRequest.objects.waiting().values_list("sent_at", flat=True)[: MOST + 1])
    top_day, served, refused = _top() if with_subjects else (None, [], [])
    return Overview(
        now=now,
        until=series.until,
        degraded=judged(booked_until, now),
        chart=_chart(series, span),
        served=sum(total.admitted for total in day),
        refused=sum(total.refused for total in day),
        refused_by=_shares(series.refused_by),
        blocked=Count(len(blocked)),
        newest_blocked=blocked[:LISTED] if with_subjects else [],
        waiting=Count(len(waiting)),
        waiting_since=waiting[0] if waiting else None,
        top_day=top_day,
        most_served=served,
        most_refused=refused,
        vitals=vitals,
    )


def _chart(series: TotalSeries, span: Span) -> Chart:
    """Bars of what was served, a part for each tier, and beside each what was refused."""
    starts, totals = (series.hours, series.by_hour) if span is Span.DAY else (series.days, series.by_day)
    nothing = Total(0, 0)
    stacks = [
        Stack(
            name,
            ROLES[number % len(ROLES)],
            [totals.get(start, {}).get(tier, nothing).admitted for start in starts],
        )
        for number, (tier, name) in enumerate(_tiers(series, totals).items())
    ]
    refused = [sum(total.refused for total in totals.get(start, {}).values()) for start in starts]
    return Chart(span, starts, [*stacks, Stack("Refused", "refused", refused, "refused")])


def _tiers(series: TotalSeries, totals: Totals) -> dict[str, str]:
    """The tiers to show, by slug, each with its name; those that were deleted since by their slugs."""
    seen: set[str] = reduce(set.union, (set(of_tier) for of_tier in totals.values()), set())
    gone = {slug: slug or GONE for slug in sorted(seen - series.tiers.keys(), reverse=True)}
    return series.tiers | gone


def _shares(refused_by: dict[str, int]) -> list[tuple[str, int, int]]:
    """What refused, how often, and in per cent of the most frequent; that comes first."""
    most = max(refused_by.values(), default=0)
    ordered = sorted(refused_by.items(), key=lambda kind: (-kind[1], kind[0]))
    return [(kind, count, round(count * 100 / most)) for kind, count in ordered if count]


def _blocked(now: datetime) -> list[Blocked]:
    """Those whose block lasts longest, first; one more than are counted."""
    rows = (
        EscalationState.objects.blocked_at(now)
        .order_by("-until")
        .values_list("subject", "key__name", "escalation", "until")[: MOST + 1]
    )
    return [
        Blocked(subject, name or "", escalation, until) for subject, name, escalation, until in rows if until
    ]


def _top() -> tuple[datetime | None, list[Top], list[Top]]:
    """The newest day of the books, and who stands out on it."""
    rows = list(TopSubject.objects.all())
    ids = {key_id for row in rows if (key_id := key_id_of(row.subject)) is not None}
    keys = {key.pk: key for key in ApiKey.objects.filter(pk__in=ids).select_related("owner").order_by()}
    lists: dict[str, list[Top]] = {by: [] for by in TopSubject.By.values}
    for row in rows:
        key = keys.get(key_id_of(row.subject) or 0)
        name, owner = (key.name, key.owner.email) if key else ("", "")
        numbers = (row.served, row.refused) if row.by == TopSubject.By.SERVED else (row.refused, row.served)
        lists[row.by].append(Top(row.subject, name, owner, *numbers))
    return rows[0].day if rows else None, lists[TopSubject.By.SERVED], lists[TopSubject.By.REFUSED]
