"""Every page of the panel, once: for the tests that hold for all of them, the benchmark and the pictures.

A page that is not here, nor among those that `tests/koalapanel/test_all_pages.py` excuses, fails a test.
"""

from enum import StrEnum
from typing import NamedTuple


class Seen(StrEnum):
    """By whom a page is meant to be seen."""

    BY_ANYBODY = "anybody"
    BY_CUSTOMERS = "customers"
    BY_STAFF = "staff"


class Page(NamedTuple):
    """`name` is for tests and pictures. `address` may have `{…}` for what there is in a panel: see
    `tests.places`.
    """

    name: str
    address: str
    seen: Seen = Seen.BY_CUSTOMERS


PAGES = (
    Page("sign-in", "/accounts/login/", Seen.BY_ANYBODY),
    Page("sign-up", "/accounts/signup/", Seen.BY_ANYBODY),
    Page("forgotten-password", "/accounts/password/reset/", Seen.BY_ANYBODY),
    Page("contact", "/contact/", Seen.BY_ANYBODY),
    Page("docs", "/docs/", Seen.BY_ANYBODY),
    Page("docs-limits", "/docs/limits/", Seen.BY_ANYBODY),
    Page("docs-headers", "/docs/headers/", Seen.BY_ANYBODY),
    Page("docs-refusals", "/docs/refusals/", Seen.BY_ANYBODY),
    Page("docs-jobs", "/docs/jobs/", Seen.BY_ANYBODY),
    Page("docs-webhooks", "/docs/webhooks/", Seen.BY_ANYBODY),
    Page("docs-examples", "/docs/examples/", Seen.BY_ANYBODY),
    Page("docs-rehearsal", "/docs/rehearsal/", Seen.BY_ANYBODY),
    Page("docs-api", "/docs/api/", Seen.BY_ANYBODY),
    Page("usage", "/?key={start}"),
    Page("usage-day", "/?key={start}&span=day"),
    Page("usage-month", "/?key={start}&span=month"),
    Page("hits", "/usage/hits/?key={start}"),
    Page("blocks", "/usage/blocks/?key={start}"),
    Page("block", "/usage/blocks/{block}/"),
    Page("ask-for-reactivation", "/usage/reactivation/{key}/"),
    Page("keys", "/keys/"),
    Page("new-key", "/keys/new/"),
    Page("revoked-keys", "/keys/revoked/"),
    Page("key", "/keys/{key}/"),
    Page("rotate-key", "/keys/{key}/rotate/"),
    Page("revoke-key", "/keys/{key}/revoke/"),
    Page("jobs", "/jobs/"),
    Page("jobs-waiting", "/jobs/?status=queued"),
    Page("webhooks", "/webhooks/"),
    Page("account", "/account/"),
    Page("sessions", "/account/sessions/"),
    Page("services", "/account/services/"),
    Page("password", "/accounts/password/change/"),
    Page("email-address", "/accounts/email/"),
    Page("two-factor", "/accounts/2fa/"),
    Page("staff-overview", "/staff/", Seen.BY_STAFF),
    Page("staff-reactivations", "/staff/reactivations/", Seen.BY_STAFF),
    Page("staff-reactivation", "/staff/reactivations/{key}/", Seen.BY_STAFF),
    Page("replay", "/staff/replays/{replay}/", Seen.BY_STAFF),
    Page("subjects", "/staff/subjects/", Seen.BY_STAFF),
    Page("subjects-found", "/staff/subjects/?q={start}", Seen.BY_STAFF),
    Page("subject", "/staff/subjects/k:{key}/", Seen.BY_STAFF),
    Page("reset-counters", "/staff/subjects/k:{key}/reset/", Seen.BY_STAFF),
    Page("release-leases", "/staff/subjects/k:{key}/release/", Seen.BY_STAFF),
    Page("change-key-limits", "/staff/subjects/k:{key}/limits/", Seen.BY_STAFF),
    Page("suspend-key", "/staff/subjects/k:{key}/suspend/", Seen.BY_STAFF),
    Page("reactivate-subject", "/staff/subjects/k:{key}/reactivate/", Seen.BY_STAFF),
    Page("staff-revoke-key", "/staff/subjects/k:{key}/revoke/", Seen.BY_STAFF),
    Page("staff-tiers", "/staff/tiers/", Seen.BY_STAFF),
    Page("staff-tier", "/staff/tiers/free/", Seen.BY_STAFF),
    Page("staff-endpoint-limits", "/staff/endpoint-limits/", Seen.BY_STAFF),
    Page("staff-endpoint-limit", "/staff/endpoint-limits/login/", Seen.BY_STAFF),
    Page("staff-ladder", "/staff/ladder/", Seen.BY_STAFF),
    Page("staff-audit", "/staff/audit/", Seen.BY_STAFF),
)
