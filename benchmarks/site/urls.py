"""The view under load, as it is and behind the two libraries that people would otherwise use.

Each library is used as its documentation shows, with the two windows of the contract and the request's
Authorization header as its key. None of them tells the client what is left, counts concurrency or books
anything: what they do is less than what the guard does.
"""

import os
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django_ratelimit.decorators import ratelimit
from limits import parse
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter

View = Callable[[HttpRequest], HttpResponse]

NEVER_REACHED = 1_000_000_000  # a limit that is asked and counted, and never refuses


def answer(request: HttpRequest) -> HttpResponse:
    response = JsonResponse({"status": "done"})
    # As every answer of the real site has it, from a middleware that isn't here: without it, granian would
    # send chunks.
    response["Content-Length"] = len(response.content)
    return response


def behind_ratelimit(view: View) -> View:
    """django-ratelimit, one decorator a window: two round trips each."""
    limited = ratelimit(key="header:authorization", rate=f"{NEVER_REACHED}/d")(view)
    limited = ratelimit(key="header:authorization", rate=f"{NEVER_REACHED}/m")(limited)
    behind: View = limited
    return behind


def behind_limits(view: View) -> View:
    """`limits`, two fixed windows: both tested, then both charged, so that a refusal charges neither."""
    limiter = FixedWindowRateLimiter(RedisStorage(settings.LIMITS_URL.replace("unix:", "redis+unix:", 1)))
    windows = [parse(f"{NEVER_REACHED}/minute"), parse(f"{NEVER_REACHED}/day")]

    def limited(request: HttpRequest) -> HttpResponse:
        key = request.headers["Authorization"]
        if not all(limiter.test(window, key) for window in windows):
            return HttpResponse(status=429)
        for window in windows:
            limiter.hit(window, key)
        return view(request)

    return limited


def behind_charged_limits(view: View) -> View:
    """`limits` at its cheapest: both windows charged without a test, so that a refusal may charge one."""
    limiter = FixedWindowRateLimiter(RedisStorage(settings.LIMITS_URL.replace("unix:", "redis+unix:", 1)))
    windows = [parse(f"{NEVER_REACHED}/minute"), parse(f"{NEVER_REACHED}/day")]

    def limited(request: HttpRequest) -> HttpResponse:
        key = request.headers["Authorization"]
        if not all(limiter.hit(window, key) for window in windows):
            return HttpResponse(status=429)
        return view(request)

    return limited


LIMITERS: dict[str, Callable[[View], View]] = {
    "none": lambda view: view,
    "guard": lambda view: view,  # a middleware: the settings install it
    "ratelimit": behind_ratelimit,
    "limits": behind_limits,
    "limits-hit": behind_charged_limits,
}

urlpatterns = [path("api/v1/bench", LIMITERS[os.environ["BENCHMARK_LIMITER"]](answer))]
