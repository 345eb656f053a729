"""The guard in front of Django: what it refuses costs nothing of Django's handling of requests.

The admitted go on with their admission in the environment, and `usage.guard.middleware` asks no second time.
"""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from django.core.handlers.wsgi import WSGIHandler

from usage import routes
from usage.guard import unread_body
from usage.guard.guard import Guard
from usage.guard.known_subjects import KnownSubjects
from usage.guard.middleware import ADMISSION, settle_after
from usage.guard.old_connections import leave_old_connections
from usage.limits.refusals import Refusal

_REASONS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class GuardedApplication:
    """A WSGI application: `django`, behind the guard for the API's paths."""

    def __init__(self, django: WSGIHandler) -> None:
        self.django = django
        self.guard = Guard(KnownSubjects(before_sql=leave_old_connections))

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not routes.is_api_path(environ.get("PATH_INFO", "")):
            return self.django(environ, start_response)
        response = self._answer(environ, start_response)
        unread_body.discard(environ)
        return response

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        checked = self.guard.check(environ)
        if isinstance(checked, Refusal):
            start_response(_REASONS[checked.status], list(checked.headers.items()))
            return [checked.body]
        environ[ADMISSION] = checked

        def start_with_limits(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            limits = self.guard.headers_of(checked, environ)
            return start_response(status, [*headers, *limits.items()], *rest)

        try:
            response = self.django(environ, start_with_limits)
        except BaseException:
            self.guard.settle(checked, HTTPStatus.INTERNAL_SERVER_ERROR)
            raise
        settle_after(response, lambda: self.guard.settle(checked, response.status_code))
        return response
