"""The audit log page by page, the newest entry first: a page costs the same wherever it is in the log.

A page begins behind the last entry of the one before, so nothing is counted or passed over, and new entries
move none. What no index knows is looked for in a bounded number of entries; where these give less than a
page, the reader is told how far that was, and can have it go on from there.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self

from django.db.models import Q, QuerySet

from accounts.models import AuditEntry

A_PAGE = 50
LOOKED_THROUGH = 10_000

_LONGEST_ID = 18  # digits that every 64-bit number may have
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Place(NamedTuple):
    """An entry's place in the log. In an address it is two numbers: microseconds of Unix time, and its id."""

    at: datetime
    id: int

    @classmethod
    def read(cls, text: str) -> Self | None:
        """`None` for what is no place."""
        microseconds, _, number = text.partition("-")
        if not (microseconds.isdecimal() and number.isdecimal() and len(number) <= _LONGEST_ID):
            return None
        try:
            return cls(_EPOCH + int(microseconds) * _MICROSECOND, int(number))
        except (ValueError, OverflowError):
            return None

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // _MICROSECOND}-{self.id}"


class Page(NamedTuple):
    """`older` is where the next page begins, if there is one.

    `looked_back_to`: the page isn't full, and what is older than this wasn't looked through yet.
    """

    entries: list[AuditEntry]
    older: Place | None
    looked_back_to: datetime | None = None


def page_of(indexed: QuerySet[AuditEntry], others: Q, before: Place | None) -> Page:
    """A page of the entries that an index finds, and of these the ones that meet the `others`, too.

    One query, and one more where there are others.
    """
    indexed = indexed.order_by("-at", "-id")
    if before is not None:
        # The first condition is the second's, in a form that an index can begin at.
        indexed = indexed.filter(Q(at__lte=before.at) & (Q(at__lt=before.at) | Q(id__lt=before.id)))
    if not others:
        return _full_or_last(list(indexed[: A_PAGE + 1]))
    end = indexed.values_list("at", "id")[LOOKED_THROUGH - 1 : LOOKED_THROUGH].first()
    if end is None:
        return _full_or_last(list(indexed.filter(others)[: A_PAGE + 1]))
    at, number = end
    looked_through = indexed.filter(Q(at__gte=at) & (Q(at__gt=at) | Q(id__gte=number)))
    page = _full_or_last(list(looked_through.filter(others)[: A_PAGE + 1]))
    return page if page.older else page._replace(older=Place(at, number), looked_back_to=at)


def _full_or_last(entries: list[AuditEntry]) -> Page:
    """Of a page and one entry more."""
    if len(entries) <= A_PAGE:
        return Page(entries, None)
    last = entries[A_PAGE - 1]
    return Page(entries[:A_PAGE], Place(last.at, last.pk))
