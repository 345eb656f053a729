"""The staff pages in the order of their menu, each with the permissions of which one is enough to see it."""

from typing import NamedTuple


class Entry(NamedTuple):
    """`name` is the page's URL name; pages below its address count as part of it."""

    name: str
    title: str
    icon: str
    permissions: tuple[str, ...] = ()


PAGES = (
    Entry("staff", "Overview", "layout-dashboard"),
    Entry("subjects", "Subjects", "list-search", ("accounts.view_apikey",)),
    Entry("audit", "Audit", "list-details", ("accounts.view_auditentry",)),
)
