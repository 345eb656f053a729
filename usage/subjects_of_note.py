"""Whom staff see before they search: who is blocked or suspended now, and the busiest of today."""

from dataclasses import dataclass
from datetime import datetime

from accounts.models import Tier
from usage.models import EscalationState, TopSubject
from usage.spans import day_start
from usage.subject_rows import Row, now_in_store, rows_of

LISTED = 8  # of each


@dataclass(frozen=True, slots=True)
class OfNote:
    """Blocked: whose block lasts longest comes first; then the newest suspension, and the busiest."""

    blocked: list[Row]
    suspended: list[Row]
    busiest: list[Row]
    now: datetime


def of_note(anonymous: Tier) -> OfNote:
    """`anonymous` is the tier of guests. Today's busiest are those of the books, a minute or two ago."""
    now = now_in_store()
    states = EscalationState.objects.all()
    blocked = list(states.blocked_at(now).order_by("-until").values_list("subject", flat=True)[:LISTED])
    suspended = list(states.suspended().order_by("-changed_at").values_list("subject", flat=True)[:LISTED])
    served = TopSubject.objects.filter(by=TopSubject.By.SERVED, day=day_start(now)).order_by("rank")
    busiest = list(served.values_list("subject", flat=True)[:LISTED])
    found = rows_of(dict.fromkeys([*blocked, *suspended, *busiest]), now, anonymous)
    rows = {row.subject: row for row in found}

    def those(ids: list[str]) -> list[Row]:
        return [rows[one] for one in ids if one in rows]

    return OfNote(those(blocked), those(suspended), those(busiest), now)
