"""The staff pages in the order of their menu, each with the permissions of which one is enough to see it."""

from collections.abc import Callable
from typing import NamedTuple

from usage.staff import reactivations


class Entry(NamedTuple):
    """`name` is the page's URL name; pages below its address count as part of it. `waiting` is asked on every
    staff page how much waits there for somebody: one cheap query."""

    name: str
    title: str
    icon: str
    permissions: tuple[str, ...] = ()
    waiting: Callable[[], int] | None = None


PAGES = (
    Entry("staff", "Overview", "layout-dashboard"),
    Entry(
        "staff_reactivations",
        "Reactivations",
        "lock-open",
        (reactivations.PERMISSION,),
        reactivations.waiting_requests,
    ),
    Entry("subjects", "Subjects", "list-search", ("accounts.view_apikey",)),
    Entry("staff_tiers", "Tiers", "adjustments", ("accounts.view_tier",)),
    Entry("staff_endpoint_limits", "Endpoint limits", "gauge", ("accounts.view_endpointlimit",)),
    Entry("staff_ladder", "Ladder", "stairs", ("usage.view_escalationpolicy",)),
    Entry("audit", "Audit", "list-details", ("accounts.view_auditentry",)),
)
