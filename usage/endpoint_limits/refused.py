"""What an endpoint limit refused lately, and whom: for staff, who are about to change it."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Sum

from usage.escalation.ladder import GUEST_PREFIX
from usage.models import RateHit
from usage.subjects import key_id_of

# Rows that are summed up, the newest: 8 ms. A flood from many addresses has more, and "at least" is told.
MOST_ROWS = 5_000
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Refused:
    """`requests` of so many `addresses`; of those the ones with the most. `is_more`: at least so many."""

    requests: int
    addresses: int
    most: list[tuple[str, int]]
    is_more: bool


def refused_by(name: str, since: datetime) -> Refused:
    """Two queries, each of a bounded part of an index."""
    newest = RateHit.objects.filter(kind=name, minute__gte=since).order_by("-minute")[:MOST_ROWS]
    sums = newest.aggregate(
        requests=Sum("count"), addresses=Count("subject", distinct=True), rows=Count("pk")
    )
    by_subject = RateHit.objects.filter(pk__in=newest.values("pk")).order_by().values("subject")
    most = by_subject.annotate(requests=Sum("count")).order_by("-requests", "subject")
    return Refused(
        requests=sums["requests"] or 0,
        addresses=sums["addresses"],
        most=[(_named(subject), n) for subject, n in most.values_list("subject", "requests")[:MOST_NAMED]],
        is_more=sums["rows"] == MOST_ROWS,
    )


def _named(subject_id: str) -> str:
    key_id = key_id_of(subject_id)
    return subject_id.removeprefix(GUEST_PREFIX) if key_id is None else f"API key {key_id}"
