"""The guard as Django middleware: no API view runs without it, whatever server there is in front."""

from collections.abc import Callable
from typing import cast

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from usage import routes
from usage.guard.guard import Admission, Guard
from usage.guard.known_subjects import KnownSubjects
from usage.limits.refusals import Refusal
from usage.routes import ApiRoute
from usage.subjects import Subject

# Where `usage.guard.wsgi` leaves its admission. A client can't: what it sends is under HTTP_….
ADMISSION = "koalapanel.admission"


class ApiRequest(HttpRequest):
    """What an API view gets: a request that the guard let through."""

    route: ApiRoute
    subject: Subject
    admission: Admission


class GuardMiddleware:
    """Stands first in `MIDDLEWARE`, and leaves any path alone that isn't the API's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.guard = Guard(KnownSubjects())

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not routes.is_api_path(request.META.get("PATH_INFO", "")):
            return self.get_response(request)
        admission: Admission | None = request.META.get(ADMISSION)
        if admission is not None:
            return self._respond(request, admission)
        checked = self.guard.check(request.META)
        if isinstance(checked, Refusal):
            return checked.response()
        response = self._respond(request, checked)
        for name, value in self.guard.headers_of(checked, request.META).items():
            response.headers[name] = value
        settle_after(response, lambda: self.guard.settle(checked, response.status_code))
        return response

    def _respond(self, request: HttpRequest, admission: Admission) -> HttpResponseBase:
        api_request = cast(ApiRequest, request)
        api_request.route = admission.route
        api_request.subject = admission.subject
        api_request.admission = admission
        return self.get_response(api_request)


def settle_after(response: HttpResponseBase, settle: Callable[[], None]) -> None:
    """Call `settle` when the work on a response is done: now, or for a stream when it is closed.

    A client that asks again at once would else meet its own lease, which waits for the last byte to be read.
    """
    if not response.streaming:
        settle()
        return
    close = response.close

    def close_and_settle() -> None:
        try:
            close()
        finally:
            settle()

    response.close = close_and_settle  # type: ignore[method-assign]
