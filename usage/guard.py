"""The guard: who asks for which route, and may they? One decision per API request, from its WSGI environment.

It knows nothing of Django's requests and responses, so that a refusal costs none of what they cost: see
`usage.wsgi` and `usage.middleware`, its two doors. A warm request runs no SQL and makes one round trip to the
limit store.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db import DatabaseError

from accounts.client_address import client_network
from usage import answers, routes
from usage.known_subjects import KnownSubjects
from usage.limits import headers
from usage.limits.decision import Decision
from usage.limits.kinds import Verdict
from usage.limits.link import LimitStoreDown
from usage.limits.refusals import Refusal
from usage.limits.store import limit_store
from usage.presented_key import presented_key
from usage.routes import ApiRoute
from usage.subjects import Subject

logger = logging.getLogger(__name__)


class Admission(NamedTuple):
    """A request that may go on: on which route, for whom, with which headers on its answer.

    `lease` is its place in the concurrency limit, to be settled when it ends; `None` where it took none.
    """

    route: ApiRoute
    subject: Subject
    headers: Mapping[str, str]
    lease: str | None


class Guard:
    """Thread-safe; one per process is enough, and remembers the subjects it has met."""

    def __init__(self, known: KnownSubjects) -> None:
        self._store = limit_store()
        self._known = known
        self._complained_at = 0.0

    def check(self, environ: Mapping[str, Any]) -> Admission | Refusal:
        """Decide about a request for an API path (`routes.is_api_path`), and charge it if it is admitted."""
        try:
            return self._check(environ)
        except DatabaseError as error:
            self._complain("The database can't be asked for a key or a tier", error)
            route = routes.find(environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""))
            return answers.limits_unavailable(route, environ.get("HTTP_ACCEPT", ""), None)

    def _check(self, environ: Mapping[str, Any]) -> Admission | Refusal:
        route = routes.find(environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""))
        accept = environ.get("HTTP_ACCEPT", "")
        key = presented_key(environ)
        subject = self._subject(environ, key)
        if subject is None or _is_refused(subject, route):
            return answers.refused_key(route, accept, key or "", subject)
        lease = self._store.new_lease() if route.charged else None
        decision: Decision | None = None
        try:
            decision = self._store.decide(subject, route.name, lease)
            if decision.verdict is Verdict.STALE:
                fresh = self._subject(environ, key, fresh=True)
                if fresh is None or _is_refused(fresh, route):
                    return answers.refused_key(route, accept, key or "", fresh)
                subject = fresh
                # Should SQL still be behind (a replica), what it says is the best we have.
                decision = self._store.insist(subject, route.name, lease)
        except LimitStoreDown as error:
            self._complain("The limit store is down", error)
        if decision is None:
            return _without_limits(route, accept, subject)
        if lease is not None and decision.verdict is not Verdict.ADMITTED:
            return answers.over_limit(route, accept, subject, decision)
        return Admission(route, subject, headers.of_decision(decision), lease)

    def settle(self, admission: Admission, status: int) -> None:
        """An admitted request was answered with `status`: return its lease, if it took one."""
        if admission.lease is None:
            return
        try:
            self._store.settle(admission.subject, admission.route.name, admission.lease, failed=status >= 400)
        except LimitStoreDown as error:
            self._complain("A lease was not returned; it ends by itself", error)

    def _complain(self, what: str, error: Exception) -> None:
        """Log, but once a second: it is said of every request while it lasts."""
        if time.monotonic() - self._complained_at >= 1:
            self._complained_at = time.monotonic()
            logger.warning("%s: %s", what, error)

    def _subject(self, environ: Mapping[str, Any], key: str | None, *, fresh: bool = False) -> Subject | None:
        if key is None:
            return self._known.by_network(client_network(environ), fresh=fresh)
        return self._known.by_key(key, fresh=fresh)


def _is_refused(subject: Subject, route: ApiRoute) -> bool:
    """Whether the key itself is refused; a suspended one keeps the downloads it has paid for."""
    return subject.refusal is not None and not (
        route.open_to_suspended and subject.refusal == "key_suspended"
    )


def _without_limits(route: ApiRoute, accept: str, subject: Subject) -> Admission | Refusal:
    """While the limit store is down: nothing that costs us goes on, and no state is guessed."""
    if route.charged:
        return answers.limits_unavailable(route, accept, subject)
    return Admission(route, subject, headers.of_limits(subject.limits), None)
