"""What a page says while the store behind the cache is away: sign-in is limited there, so it has to wait."""

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

from usage import routes

log = logging.getLogger(__name__)

# A store that was only started anew is back by then.
_RETRY_AFTER_SECONDS = 30


class StoreDownMiddleware:
    """Turns the store's errors on pages into a 503 that says so.

    Nothing fails open: without the store nobody can count wrong passwords, so nobody can try any. The API's
    errors are left to the API.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The 503 page for an error of the store's; None, which is Django's own answer, for any other."""
        if not isinstance(exception, RedisError | ConnectionInterrupted) or routes.is_api_path(
            request.path_info
        ):
            return None
        log.warning("The store did not answer %s %s: %s", request.method, request.path_info, exception)
        return HttpResponse(
            render_to_string("503.html"),
            status=503,
            headers={"Retry-After": str(_RETRY_AFTER_SECONDS), "Cache-Control": "no-store"},
        )
