"""The guard: the first thing that looks at an API request.

A prefix test, one decision, headers; any other path leaves at once. A warm request runs no SQL and makes one
round trip to the limit store, and a refused one goes no further.
"""

import logging
from collections.abc import Callable
from typing import cast

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from accounts.client_address import client_network
from usage import answers, routes
from usage.known_subjects import KnownSubjects
from usage.limits import headers
from usage.limits.decision import Decision
from usage.limits.kinds import Verdict
from usage.limits.link import LimitStoreDown
from usage.limits.store import limit_store
from usage.presented_key import presented_key
from usage.routes import ApiRoute
from usage.subjects import Subject

logger = logging.getLogger(__name__)


class ApiRequest(HttpRequest):
    """What an API view gets: a request that the guard let through."""

    route: ApiRoute
    subject: Subject


class Guard:
    """Django middleware; stands first in `MIDDLEWARE`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.store = limit_store()
        self.known = KnownSubjects()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        if not routes.is_api_path(path):
            return self.get_response(request)
        route = routes.find(request.method or "", path)
        key = presented_key(request.META)
        subject = self._subject(request, key)
        if subject is None or _is_refused(subject, route):
            return answers.refused_key(request, route, key or "", subject)
        lease = self.store.new_lease() if route.charged else None
        decision: Decision | None = None
        try:
            decision = self.store.decide(subject, route.name, lease)
            if decision.verdict is Verdict.STALE:
                fresh = self._subject(request, key, fresh=True)
                if fresh is None or _is_refused(fresh, route):
                    return answers.refused_key(request, route, key or "", fresh)
                subject = fresh
                # Should SQL still be behind (a replica), what it says is the best we have.
                decision = self.store.insist(subject, route.name, lease)
        except LimitStoreDown as error:
            logger.warning("The limit store is down: %s", error)
        if decision is None:
            return self._without_limits(request, route, subject)
        if lease is not None and decision.verdict is not Verdict.ADMITTED:
            return answers.over_limit(request, route, subject, decision)
        return self._let_through(request, route, subject, decision, lease)

    def _subject(self, request: HttpRequest, key: str | None, *, fresh: bool = False) -> Subject | None:
        if key is None:
            return self.known.by_network(client_network(request.META), fresh=fresh)
        return self.known.by_key(key, fresh=fresh)

    def _let_through(
        self, request: HttpRequest, route: ApiRoute, subject: Subject, decision: Decision, lease: str | None
    ) -> HttpResponseBase:
        response = self._respond(request, route, subject)
        for name, value in headers.of_decision(decision).items():
            response.headers[name] = value
        if lease is not None:
            if response.streaming:
                self._settle_when_closed(response, route, subject, lease)
            else:
                # The work is done. To wait until the client has read it all would let one that asks again
                # at once meet its own lease.
                self._settle(response, route, subject, lease)
        return response

    def _without_limits(self, request: HttpRequest, route: ApiRoute, subject: Subject) -> HttpResponseBase:
        """While the limit store is down: nothing that costs us goes on, and no state is guessed."""
        if route.charged:
            return answers.limits_unavailable(request, route, subject)
        response = self._respond(request, route, subject)
        for name, value in headers.of_limits(subject.limits).items():
            response.headers[name] = value
        return response

    def _respond(self, request: HttpRequest, route: ApiRoute, subject: Subject) -> HttpResponseBase:
        api_request = cast(ApiRequest, request)
        api_request.route = route
        api_request.subject = subject
        return self.get_response(api_request)

    def _settle_when_closed(
        self, response: HttpResponseBase, route: ApiRoute, subject: Subject, lease: str
    ) -> None:
        """The server closes a response when its last byte is out, or when the client has gone."""
        close = response.close

        def close_and_settle() -> None:
            try:
                close()
            finally:
                self._settle(response, route, subject, lease)

        response.close = close_and_settle  # type: ignore[method-assign]

    def _settle(self, response: HttpResponseBase, route: ApiRoute, subject: Subject, lease: str) -> None:
        try:
            self.store.settle(subject, route.name, lease, failed=response.status_code >= 400)
        except LimitStoreDown as error:
            logger.warning("A lease was not returned; it ends by itself: %s", error)


def _is_refused(subject: Subject, route: ApiRoute) -> bool:
    """Whether the key itself is refused; a suspended one keeps the downloads it has paid for."""
    return subject.refusal is not None and not (
        route.open_to_suspended and subject.refusal == "key_suspended"
    )
