"""Every refusal as the code that refuses gives it, without the occasion: for the docs and for rehearsals.

A new code is a new line in `by_code`; docs and rehearsals have it then (and a test misses it until then).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from accounts.client_address import Address
from accounts.endpoint_limits.limiter import EndpointLimitReached
from accounts.endpoint_limits.names import NAMES, Name
from accounts.endpoint_limits.rates import Rate
from accounts.tiers import Limits
from images.downloads import address_expired
from images.errors import no_such_job, refusal_of
from images.queue import accepting
from images.submitting import unsupported
from images.uploads import MOST_FILES, too_large
from usage.endpoint_limits import hits
from usage.escalation.ladder import COOLDOWN, SUSPENDED, WARNED, Ladder
from usage.guard import answers
from usage.limits import headers
from usage.limits.decision import Decision
from usage.limits.kinds import REFUSED_BY, Verdict
from usage.limits.refusals import ApiError, Dialect, Refusal
from usage.routes import ApiRoute
from usage.spans import DAY_SECONDS, MINUTE_SECONDS
from usage.subjects import Subject

# A refusal at a route, for an Accept header.
Example = Callable[[ApiRoute, str], Refusal]

_WINDOWS = {Verdict.MINUTE_FULL: MINUTE_SECONDS, Verdict.DAY_FULL: DAY_SECONDS}
# Of limits that there are none of; as a new key has them.
_USUAL = (30, 1000, 5)
_USUAL_RATE: Rate = (30, MINUTE_SECONDS)


@dataclass(frozen=True, slots=True)
class Occasion:
    """Who is refused, when and from where. `unknown_key` is the text of one that isn't ours.

    `wait` is for how many seconds a refusal that ends by itself lasts; `None`: for as long as it would. Of
    the minute's limit it is 60 at most. A concurrent request may end any moment: its `Retry-After` is 1.
    """

    subject: Subject
    ladder: Ladder
    now: int
    address: Address
    unknown_key: str
    wait: int | None = None

    @property
    def numbers(self) -> tuple[int, int, int]:
        """The limits on requests, each with a number, as who is refused has one: minute, day, concurrent."""
        minute, day, concurrent, _, _ = self.subject.limits
        return (
            _USUAL[0] if minute is None else minute,
            _USUAL[1] if day is None else day,
            _USUAL[2] if concurrent is None else concurrent,
        )

    @property
    def limits(self) -> Limits:
        minute, day, concurrent = self.numbers
        return self.subject.limits._replace(minute=minute, day=day, concurrent=concurrent)


def by_code(given: Occasion) -> dict[str, Example]:
    """By the codes of the API's table (`usage.limits.refusals.CODES`)."""
    missing = ApiError("invalid_request", "The field 'file' is missing.", field="file")
    return {
        "rate_limited": over(given, Verdict.MINUTE_FULL),
        "cooldown": blocked(given, COOLDOWN),
        "blocked": blocked(given, COOLDOWN + 1),
        "queue.limit_exceeded": _raised(given, accepting.queue_full()),
        "queue.pool_saturated": _raised(given, accepting.pool_saturated()),
        "key_suspended": _bad_key(given, "key_suspended"),
        "invalid_key": lambda route, accept: answers.refused_key(route, accept, given.unknown_key, None),
        "key_expired": _bad_key(given, "key_expired"),
        "key_revoked": _bad_key(given, "key_revoked"),
        "ip_not_allowed": lambda route, accept: answers.from_elsewhere(route, accept, given.address),
        "invalid_request": _raised(given, missing),
        "unsupported_format": lambda route, accept: _raised(given, unsupported("pdf", _format_field(route)))(
            route, accept
        ),
        "image_too_large": lambda route, accept: _raised(
            given, too_large(MOST_FILES if route.name == "batch" else 1)
        )(route, accept),
        "not_found": _raised(given, no_such_job()),
        "token_exhausted": _raised(given, address_expired()),
        "limits_unavailable": lambda route, accept: answers.limits_unavailable(
            route, accept, given.subject, given.wait or answers.STORE_RETRY_SECONDS
        ),
    }


def by_limit(given: Occasion, rates: Mapping[str, Rate | None]) -> dict[str, Example]:
    """`rate_limited`, by the names in `limit`: of limits on requests, and of `rates` per address."""
    of_requests: dict[str, Example] = {kind: over(given, verdict) for verdict, kind in REFUSED_BY.items()}
    of_addresses = {name: _over_rate(given, name, rates.get(name) or _USUAL_RATE) for name in NAMES}
    return of_requests | of_addresses


def by_tier(given: Occasion) -> dict[int, Example]:
    """By the tiers of the ladder that refuse. The first is the plain refusal, the last the suspension."""
    tiers = range(COOLDOWN, SUSPENDED)
    return {
        WARNED: over(given, Verdict.MINUTE_FULL),
        **{tier: blocked(given, tier) for tier in tiers},
        SUSPENDED: _bad_key(given, "key_suspended"),
    }


def over(given: Occasion, verdict: Verdict) -> Example:
    """Refused by a limit on requests."""
    now, window = given.now, _WINDOWS.get(verdict)
    minute, day, concurrent = given.numbers
    if given.wait is not None and window is not None:
        # The same second of another window, in which that is what is left.
        now += window - now % window - given.wait
    decision = Decision(
        verdict=verdict,
        limits=given.limits,
        now=now,
        minute_count=minute if verdict is Verdict.MINUTE_FULL else min(1, minute),
        day_count=day if verdict is Verdict.DAY_FULL else min(minute, day),
        in_flight=concurrent if verdict is Verdict.CONCURRENT_FULL else 0,
        escalation=0 if verdict is Verdict.CONCURRENT_FULL else WARNED,
    )

    def example(route: ApiRoute, accept: str) -> Refusal:
        refused = answers.over_limit(route, accept, given.subject, decision, given.ladder)
        if now == given.now:
            return refused
        reset = str(given.now + (given.wait or 0))
        return refused._replace(headers={**refused.headers, "X-RateLimit-Reset": reset})

    return example


def blocked(given: Occasion, tier: int) -> Example:
    """Refused by the ladder, from now on."""
    minute, day, _ = given.numbers
    decision = Decision(
        verdict=Verdict.BLOCKED,
        limits=given.limits,
        now=given.now,
        minute_count=minute,
        day_count=min(minute, day),
        in_flight=0,
        escalation=tier,
        escalation_until=given.now + (given.wait or max(1, given.ladder.steps[tier].seconds)),
    )
    return lambda route, accept: answers.over_limit(route, accept, given.subject, decision, given.ladder)


def _over_rate(given: Occasion, name: Name, rate: Rate) -> Example:
    requests, seconds = rate
    reached = EndpointLimitReached(name, requests, seconds, given.wait or max(1, seconds // 5))
    if name == "key_validation":
        return partial(_over_validations, reached)
    described = headers.of_full(given.subject.limits, given.now)
    return lambda route, accept: hits.refusal_of(
        reached, dialect=route.dialect, accept=accept, headers=described
    )


def _over_validations(reached: EndpointLimitReached, route: ApiRoute, accept: str) -> Refusal:
    return answers.over_endpoint_limit(route, accept, reached)


def _bad_key(given: Occasion, code: str) -> Example:
    known = replace(given.subject, refusal=code)
    return lambda route, accept: answers.refused_key(route, accept, given.unknown_key, known)


def _raised(given: Occasion, error: ApiError) -> Example:
    """Refused by a view, with the headers of who was charged for nothing."""
    described = headers.of_full(given.subject.limits, given.now)
    wait = given.wait if "Retry-After" in error.headers else None

    def example(route: ApiRoute, accept: str) -> Refusal:
        refused = refusal_of(error, dialect=route.dialect, accept=accept, retry_after=wait)
        return refused._replace(headers={**refused.headers, **described})

    return example


def _format_field(route: ApiRoute) -> str:
    return "targetFormat" if route.dialect is Dialect.SHORT else "output_format"
