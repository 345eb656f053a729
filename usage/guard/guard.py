"""The guard: who asks for which route, and may they? One decision per API request, from its WSGI environment.

It knows nothing of Django's requests and responses, so that a refusal costs none of what they cost: see
`usage.guard.wsgi` and `usage.guard.middleware`, its two doors. A warm request runs no SQL and makes one round
trip to the limit store; one from a subject that is known to be blocked makes none.
"""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import redis
from django.db import Error as SqlError

from accounts.client_address import client_address, client_network
from accounts.endpoint_limits.limiter import EndpointLimitReached, charge
from usage import routes
from usage.endpoint_limits.hits import book
from usage.escalation import following, recording
from usage.guard import answers
from usage.guard.known_blocks import KnownBlocks
from usage.guard.known_subjects import KnownSubjects
from usage.guard.last_refusals import Hurry, LastRefusals
from usage.guard.late_settlements import LateSettlements
from usage.guard.local_hits import local_hits
from usage.guard.presented_key import presented_key
from usage.guard.used_secrets import used_secrets
from usage.limits import headers
from usage.limits.decision import Decision
from usage.limits.kinds import Kind, Verdict
from usage.limits.link import LimitStoreDown, NotAsked
from usage.limits.outcomes import ADMITTED, ELSEWHERE, SUSPENDED, UNAVAILABLE
from usage.limits.refusals import Refusal
from usage.limits.share import LocalShares
from usage.limits.store import FAILED, UNDONE, WELL, limit_store
from usage.routes import ApiRoute
from usage.spans import MINUTE_SECONDS
from usage.subjects import SUSPENSION, Subject

logger = logging.getLogger(__name__)

COMPLAINT_SECONDS = 10.0
# On every answer to a rehearsal key, so that nobody takes it for a real one.
REHEARSAL: Mapping[str, str] = {"X-Koala-Rehearsal": "true"}


@dataclass(slots=True)
class Admission:
    """A request that may go on: on which route, for whom, with which headers on its answer.

    `lease` is its place in the concurrency limit, to be settled when it ends; `None` where it took none, or
    has it no more. `refused_as` is for the view to say that it refuses after all, by which outcome: that it
    has done nothing which the request should be charged for.
    """

    route: ApiRoute
    subject: Subject
    headers: Mapping[str, str]
    lease: str | None
    refused_as: str | None = None


class Request(NamedTuple):
    """What the guard reads of a request; its environment has the rest."""

    environ: Mapping[str, Any]
    route: ApiRoute
    accept: str
    key: str | None


class Guard:
    """Thread-safe; one per process is enough, and remembers the subjects it has met."""

    def __init__(self, known: KnownSubjects) -> None:
        self._store = limit_store()
        self._known = known
        self._blocks = KnownBlocks()
        self._shares = LocalShares()
        self._refusals = LastRefusals()
        self._hits = local_hits()
        self._used = used_secrets()
        self._late = LateSettlements(self._store)
        self._complained_at = -COMPLAINT_SECONDS

    def check(self, environ: Mapping[str, Any]) -> Admission | Refusal:
        """Decide about a request for an API path (`routes.is_api_path`), and charge it if it is admitted."""
        request = Request(
            environ,
            routes.find(environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")),
            environ.get("HTTP_ACCEPT", ""),
            presented_key(environ),
        )
        try:
            return self._check(request)
        except SqlError as error:
            self._complain("The database can't be asked for a key or a tier", error)
            return answers.limits_unavailable(request.route, request.accept, None)

    def _check(self, request: Request) -> Admission | Refusal:
        route = request.route
        subject = self._subject(request)
        if subject is None or _is_refused(subject, request):
            return self._refuse_key(request, subject)
        if subject.is_rehearsal:
            return self._rehearse(request, subject)
        if route.charged:
            block = self._blocks.recall(subject.id)
            if block is not None:
                self._used.note(subject.secret_id, block.now)
                return self._refuse_known(request, subject, block)
        lease = self._store.new_lease() if route.charged else None
        try:
            decision = self._store.decide(subject, route.name, lease)
            if decision.verdict is Verdict.STALE:
                self._known.before_sql()
                self._store.reload_ladder()
                fresh = self._subject(request, fresh=True)
                if fresh is None or _is_refused(fresh, request):
                    return self._refuse_key(request, fresh)
                subject = fresh
                # Should SQL still be behind (a replica), what it says is the best we have.
                decision = self._store.insist(subject, route.name, lease)
        except LimitStoreDown as error:
            self._lost(error)
            if lease is not None and not isinstance(error, NotAsked):
                self._late.add((subject, route.name, lease, UNDONE))
            return self._without_store(request, subject)
        if decision.verdict is Verdict.SUSPENDED and not route.open_to_suspended:
            return self._suspend(request, subject, decision)
        self._used.note(subject.secret_id, decision.now)
        if decision.verdict is not Verdict.BLOCKED:
            self._blocks.forget(subject.id)
        if lease is None or decision.verdict is Verdict.ADMITTED:
            return Admission(route, subject, headers.of_decision(decision), lease)
        if decision.verdict is Verdict.BLOCKED:
            self._blocks.remember(subject.id, decision)
        hit = (subject.id, decision.now // MINUTE_SECONDS, route.name, decision.outcome)
        self._hits.sample(hit, request.environ, self._hurry(subject, decision))
        return self._refuse(request, subject, decision)

    def headers_of(self, admission: Admission, environ: Mapping[str, Any]) -> Mapping[str, str]:
        """The headers for the view's answer; call once it is there, before it is sent.

        If the view refused, the charge is given back first, and they say how the subject stands then.
        """
        if admission.refused_as is None or admission.lease is None:
            return admission.headers
        return self._take_back(admission, admission.refused_as, environ)

    def settle(self, admission: Admission, status: int) -> None:
        """An admitted request was answered with `status`: return its lease, if it took one."""
        if admission.lease is not None:
            self._settle(admission, admission.lease, FAILED if status >= 400 else WELL)

    def _take_back(self, admission: Admission, outcome: str, environ: Mapping[str, Any]) -> Mapping[str, str]:
        """The request was refused after all: it is charged for nothing, and counts as a hit.

        One round trip more than others take, for whoever would be told of the state as it was before.
        """
        subject = admission.subject
        if admission.lease is not None:
            self._settle(admission, admission.lease, UNDONE)
            admission.lease = None
        now = time.time()
        described = headers.of_limits(subject.limits)
        try:
            # Over the connection that the settlement went by, so the store has heard of that first.
            decision = self._store.look(subject)
        except LimitStoreDown as error:
            self._lost(error)
        except SqlError as error:
            self._complain("The database can't be asked what the limit store has lost", error)
        else:
            now, described = decision.now, headers.of_decision(decision)
        self._hits.count((subject.id, int(now) // MINUTE_SECONDS, admission.route.name, outcome), environ)
        return described

    def _settle(self, admission: Admission, lease: str, outcome: str) -> None:
        settlement = (admission.subject, admission.route.name, lease, outcome)
        try:
            self._store.settle(*settlement)
            self._late.told(settlement)
        except LimitStoreDown as error:
            self._lost(error)
            self._late.add(settlement)

    def _refuse_known(self, request: Request, subject: Subject, block: Decision) -> Refusal:
        """A block that this process knows of: the store hears later that it was met."""
        self._count(request, subject, block.outcome, block.now, self._hurry(subject, block))
        return self._refuse(request, subject, block)

    def _hurry(self, subject: Subject, decision: Decision) -> Hurry | None:
        return self._refusals.note(subject.id, decision.outcome, decision.retry_after or 0)

    def _refuse(self, request: Request, subject: Subject, decision: Decision) -> Refusal:
        return answers.over_limit(request.route, request.accept, subject, decision, self._store.ladder)

    def _rehearse(self, request: Request, subject: Subject) -> Admission:
        """It is let through whatever it did, and charged for nothing; what it meets is the view's to act."""
        now = int(time.time())
        self._used.note(subject.secret_id, now)
        return Admission(request.route, subject, {**headers.of_full(subject.limits, now), **REHEARSAL}, None)

    def _refuse_key(self, request: Request, subject: Subject | None) -> Refusal:
        refused = self._key_refusal(request, subject)
        if subject is not None and subject.is_rehearsal:
            return refused._replace(headers={**refused.headers, **REHEARSAL})
        return refused

    def _key_refusal(self, request: Request, subject: Subject | None) -> Refusal:
        if subject is not None and not _is_shut(subject, request.route):
            self._known.doubt_key(request.key or "")
            self._count(request, subject, ELSEWHERE)
            return answers.from_elsewhere(request.route, request.accept, client_address(request.environ))
        if subject is None:
            over = self._over_validations(request)
            if over is not None:
                return over
        elif subject.is_suspended and request.route.charged:
            self._count(request, subject, SUSPENDED)
        return answers.refused_key(request.route, request.accept, request.key or "", subject)

    def _over_validations(self, request: Request) -> Refusal | None:
        """Count a key that we don't know; gives the refusal for an address that has tried too many of them.

        At most one round trip, to the cache, and none from a network that is known to be over: a flood of
        made-up keys costs no more than it must.
        """
        self._known.before_sql()  # for the rates, in a process that has none yet
        try:
            charge("key_validation", request.environ)
        except EndpointLimitReached as reached:
            book(reached, request.environ, route=request.route.name)
            return answers.over_endpoint_limit(request.route, request.accept, reached)
        return None

    def _suspend(self, request: Request, subject: Subject, decision: Decision) -> Refusal:
        """The store says that the key is suspended. The request that caused it writes that down in SQL."""
        if decision.change:
            try:
                change = following.change_of(self._store, subject.bucket, decision.change)
                if change is not None:
                    self._known.before_sql()
                    recording.record(change)
            except (redis.RedisError, SqlError) as error:
                logger.warning("A suspension will be written down by the worker: %s", error)
        suspended = replace(subject, refusal=SUSPENSION)
        return answers.refused_key(request.route, request.accept, request.key or "", suspended)

    def _without_store(self, request: Request, subject: Subject) -> Admission | Refusal:
        """While the limit store is down: known blocks hold, nothing that starts a job goes on, other charged
        routes go on within this process's share of the limit, and no state is guessed."""
        route = request.route
        self._used.note(subject.secret_id, int(time.time()))
        if not route.charged:
            return Admission(route, subject, headers.of_limits(subject.limits), None)
        block = self._blocks.recall(subject.id, math.inf)
        if block is not None:
            return self._refuse_known(request, subject, block)
        if not route.starts_job:
            retry_after = self._shares.take(subject)
            if retry_after is None:
                self._count(request, subject, ADMITTED)
                return Admission(route, subject, headers.of_limits(subject.limits), None)
            hurry = self._refusals.note(subject.id, Kind.MINUTE, retry_after)
            self._count(request, subject, Kind.MINUTE, hurry=hurry)
            return answers.over_share(route, request.accept, subject, retry_after)
        self._count(request, subject, UNAVAILABLE)
        return answers.limits_unavailable(route, request.accept, subject)

    def _lost(self, error: LimitStoreDown) -> None:
        """The store didn't answer. What is said of an outage is the breaker's; this is of single failures."""
        self._late.doubt()
        if not self._store.breaker.is_open:
            self._complain("The limit store did not answer", error)

    def _count(
        self,
        request: Request,
        subject: Subject,
        outcome: str,
        now: float | None = None,
        hurry: Hurry | None = None,
    ) -> None:
        """What the store doesn't hear of from this request. `now` is in Unix seconds."""
        if subject.is_rehearsal:
            return
        minute = int(time.time() if now is None else now) // MINUTE_SECONDS
        self._hits.count((subject.id, minute, request.route.name, outcome), request.environ, hurry)

    def _complain(self, what: str, error: Exception) -> None:
        """Log, but not for every request while it lasts."""
        if time.monotonic() - self._complained_at >= COMPLAINT_SECONDS:
            self._complained_at = time.monotonic()
            logger.warning("%s: %s", what, error)

    def _subject(self, request: Request, *, fresh: bool = False) -> Subject | None:
        if request.key is None:
            return self._known.by_network(client_network(request.environ), fresh=fresh)
        return self._known.by_key(request.key, fresh=fresh)


def _is_refused(subject: Subject, request: Request) -> bool:
    """Whether the key itself is refused, or where it comes from: whatever its limits have left."""
    if subject.refusal is None and subject.allowed_networks is None:
        return False
    return _is_shut(subject, request.route) or not subject.is_allowed_from(client_address(request.environ))


def _is_shut(subject: Subject, route: ApiRoute) -> bool:
    """Whether the key is refused from anywhere; a suspended one keeps the downloads it has paid for."""
    return subject.refusal is not None and not (route.open_to_suspended and subject.is_suspended)
