"""What the limit store counted of one subject since the books were written: the newest minutes."""

from collections.abc import Iterable

from usage import routes
from usage.limits.outcomes import ADMITTED, ELSEWHERE, FAILED, HITS
from usage.limits.store import limit_store

_OUTCOMES = (ADMITTED, FAILED, *HITS)
# Of the routes that aren't charged: the endpoint limit whose refusals are the subject's, not an address's …
_UNCHARGED = (("entitlements", "entitlements"),)

# Unix minute -> (route, outcome) -> n
Counts = dict[int, dict[tuple[str, str], int]]


def counts_of(subject_id: str, minutes: Iterable[int]) -> Counts:
    """The subject's counts in some Unix minutes, without zeros. One round trip; raises `redis.RedisError`."""
    charged = ((route, outcome) for route in sorted(routes.charged_names()) for outcome in _OUTCOMES)
    # … and what holds on every route.
    elsewhere = ((route, ELSEWHERE) for route in sorted(routes.names() - routes.charged_names()))
    names = [*charged, *_UNCHARGED, *elsewhere]
    counted = limit_store().booked([(subject_id, *name) for name in names], minutes)
    return {
        minute: {name: n for name, n in zip(names, counts, strict=True) if n > 0}
        for minute, counts in counted.items()
    }
