"""Counts requests against an endpoint limit, with django-ratelimit, and refuses what is over it.

Counted is by the limit's name and the client's network, never by the path or a header: another case, a
slash, a query string, another address of the same view or a neighbour in the same IPv6 network is the same
count. Windows are fixed; where in the clock a network's begin is django-ratelimit's to say.
"""

from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import Any, TypeVar

from django.db import Error as SqlError
from django.http import HttpRequest
from django_ratelimit.core import get_usage
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

from accounts.client_address import client_network
from accounts.endpoint_limits.known_full import KnownFull
from accounts.endpoint_limits.names import NAMES, REFUSED_WITHOUT_A_COUNT, Name
from accounts.endpoint_limits.outage import Outage
from accounts.endpoint_limits.rates import Rate, forget_copy, rate_of

View = TypeVar("View", bound=Callable[..., Any])

_known_full = KnownFull()
_outage = Outage()


class EndpointLimitReached(Exception):
    """One request more than `requests` in `seconds` seconds from one network; the next is admitted in
    `retry_after` seconds, not sooner. What becomes of it is `usage`'s to say."""

    def __init__(self, name: Name, requests: int, seconds: int, retry_after: int) -> None:
        super().__init__(f"{name}: {requests} in {seconds} s, again in {retry_after} s")
        self.name = name
        self.requests = requests
        self.seconds = seconds
        self.retry_after = retry_after


class UnknownEndpointLimit(LookupError):
    """No limit has this name: `accounts.endpoint_limits.names` has them all."""


def limited(name: Name, methods: Collection[str] = ("POST",)) -> Callable[[View], View]:
    """Decorates a view: requests by one of `methods` count against the limit before the view sees them.

    Raises `UnknownEndpointLimit` when the view is defined, and from the view what `charge` raises.
    """
    _check(name)
    # Django's views answer HEAD as they answer GET.
    counted = {*methods, "HEAD"} if "GET" in methods else {*methods}

    def decorate(view: View) -> View:
        @wraps(view)
        def counting(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if request.method in counted:
                charge(name, request.META)
            return view(request, *args, **kwargs)

        return counting  # type: ignore[return-value]

    return decorate


def charge(name: Name, meta: Mapping[str, Any]) -> None:
    """Count one request of the client's network; `meta` is the request's META or WSGI environment.

    Raises `EndpointLimitReached`; where the cache is away `redis.RedisError`, for a limit that nothing passes
    without a count (`REFUSED_WITHOUT_A_COUNT`). No SQL and one round trip if this process is warm, none for a
    network that it knows to be over.
    """
    _check(name)
    try:
        _charge(name, client_network(meta))
    except (RedisError, ConnectionInterrupted, SqlError):
        if name in REFUSED_WITHOUT_A_COUNT:
            raise


def forget() -> None:
    """As in a process that has just begun."""
    global _outage
    _outage = Outage()
    _known_full.forget_all()
    forget_copy()


def _charge(name: Name, network: str) -> None:
    _outage.raise_if_known()
    try:
        rate = rate_of(name)
        over_for = None if rate is None else _over_for(name, network, rate)
    except (RedisError, ConnectionInterrupted) as error:
        _outage.begins(error)
        raise
    _outage.ends()
    if rate is not None and over_for is not None:
        raise EndpointLimitReached(name, *rate, over_for)


def _over_for(name: Name, network: str, rate: Rate) -> int | None:
    """Count; gives the seconds to wait of a network that is over `rate`."""
    known = _known_full.seconds_left((name, network), rate)
    if known is not None:
        return known
    usage = get_usage(None, group=name, key=lambda *_: network, rate=rate, increment=True)
    if not usage["should_limit"]:
        return None
    # Its window holds for the second that it names as the end, too: who came back at that would be refused.
    seconds: int = max(1, usage["time_left"] + 1)
    _known_full.remember((name, network), rate, seconds)
    return seconds


def _check(name: str) -> None:
    if name not in NAMES:
        raise UnknownEndpointLimit(name)
