"""What is said to a rehearsal key that asks for a refusal: that refusal, before any view sees the request."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpResponse
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

from accounts import api_keys
from accounts.client_address import client_address
from accounts.endpoint_limits.names import NAMES
from accounts.endpoint_limits.rates import Rate, rate_of
from images.errors import answer
from images.example_refusals import Occasion
from images.rehearsal.asking import HEADER, Asked, example_of, is_of_charged, read
from images.rehearsal.waits import seconds_left
from usage.guard.guard import REHEARSAL
from usage.guard.middleware import ApiRequest
from usage.limits.refusals import ApiError, Refusal
from usage.limits.store import limit_store

View = Callable[..., HttpResponse]

# What the guard puts on every answer; a refusal has its own.
_LIMIT_HEADERS = (
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "RateLimit-Policy",
    "RateLimit",
)


def rehearsed(view: View) -> View:
    """For every view of the API. Any other key pays one look at its subject, and its header is ignored."""

    @wraps(view)
    def answered(request: ApiRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.subject.is_rehearsal or (said := request.headers.get(HEADER)) is None:
            return view(request, *args, **kwargs)
        try:
            refused = _refusal(request, read(said, limit_store().ladder))
        except ApiError as error:
            return answer(request, error)
        return view(request, *args, **kwargs) if refused is None else _sent(request, refused)

    return answered


def _refusal(request: ApiRequest, asked: Asked) -> Refusal | None:
    """`None` where the request is let through: for the wait is over, or nothing refuses so here."""
    if is_of_charged(asked.word) and not request.route.charged:
        return None
    wait = asked.wait
    if wait is not None and (wait := seconds_left(request.subject.key_id or 0, asked.word, wait)) is None:
        return None
    given = Occasion(
        subject=request.subject,
        ladder=limit_store().ladder,
        now=int(time.time()),
        address=client_address(request.META),
        unknown_key=api_keys.new_text(),
        wait=wait,
    )
    example = example_of(asked.word, given, _rates())
    return None if example is None else example(request.route, request.headers.get("Accept", ""))


def _rates() -> dict[str, Rate | None]:
    """Of the limits per address; while the cache is away, of none of them."""
    try:
        return {name: rate_of(name) for name in NAMES}
    except (ConnectionInterrupted, RedisError):
        return {}


def _sent(request: ApiRequest, refused: Refusal) -> HttpResponse:
    """With the refusal's own account of the limits in place of the guard's."""
    limits = {name: refused.headers[name] for name in _LIMIT_HEADERS if name in refused.headers}
    request.admission.headers = {**limits, **REHEARSAL}
    response = refused.response()
    for name in limits:
        del response.headers[name]
    response._has_been_logged = True  # type: ignore[attr-defined]  # no error of ours
    return response
