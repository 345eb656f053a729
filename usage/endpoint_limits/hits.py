"""The hit in the books, and the answer for programs. The guard gives both itself, before any view."""

import time
from collections.abc import Mapping
from typing import Any

from accounts.client_address import client_network
from accounts.endpoint_limits.limiter import EndpointLimitReached
from usage.escalation.ladder import GUEST_PREFIX
from usage.escalation.words import span
from usage.guard.local_hits import local_hits
from usage.limits.refusals import Dialect, Refusal, refusal
from usage.spans import MINUTE_SECONDS

LONGEST_ROUTE = 32  # characters that the books keep of a route's name


def book(
    reached: EndpointLimitReached, environ: Mapping[str, Any], *, route: str, subject_id: str | None = None
) -> None:
    """Count the refused request, for the client's network unless told for whom.

    `route` is a name of ours, of an API route or a view. No round trip.
    """
    if subject_id is None:
        subject_id = f"{GUEST_PREFIX}{client_network(environ)}"
    minute = int(time.time()) // MINUTE_SECONDS
    local_hits().count((subject_id, minute, route[:LONGEST_ROUTE], reached.name), environ)


def refusal_of(
    reached: EndpointLimitReached,
    *,
    dialect: Dialect,
    accept: str,
    headers: Mapping[str, str] | None = None,
) -> Refusal:
    """429 in the dialect, or as problem details for who accepts those."""
    many = "1 request" if reached.requests == 1 else f"{reached.requests:,} requests"
    return refusal(
        "rate_limited",
        f"{many} {per(reached.seconds)} from one address; the next is admitted in {reached.retry_after} s.",
        dialect=dialect,
        accept=accept,
        limit=reached.name,
        retry_after=reached.retry_after,
        headers=headers,
    )


def per(seconds: int) -> str:
    """What follows a number of requests: `per minute`, `in 15 minutes`."""
    words = span(seconds)
    return f"per {words[2:]}" if words.startswith("1 ") else f"in {words}"
