"""Notes when and from where a session was last seen, without a write for each request.

allauth's own middleware reads and writes the session's row at every request, the usage page's refresh every
3 seconds included. Five minutes are near enough to recognise a session by, so a process writes a session's
row at most once in that time (a changed address or browser at once); what it wrote it keeps in its memory.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from threading import Lock

from allauth.usersessions.models import UserSession
from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from accounts.client_address import client_address

NEAR_ENOUGH = timedelta(minutes=5)
SESSIONS_KEPT = 4096  # in a process's memory: some 1 MB; one that was pushed out costs a write more

_USER_AGENT_LENGTH = UserSession._meta.get_field("user_agent").max_length


class LastSeenMiddleware:
    """Stands behind the authentication: sessions without an account are nobody's to list."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self._written: OrderedDict[str, tuple[float, str, str]] = OrderedDict()
        self._lock = Lock()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # The API's guard notes the route of what it lets in: that is asked by key, and opens no session.
        if not hasattr(request, "route") and request.session.session_key and request.user.is_authenticated:
            self._note(request)
        return self.get_response(request)

    def _note(self, request: HttpRequest) -> None:
        session_key = str(request.session.session_key)
        address = str(client_address(request.META))
        user_agent = request.headers.get("User-Agent", "")[:_USER_AGENT_LENGTH]
        if not self._is_known(session_key, address, user_agent):
            age = write(request, session_key, address, user_agent)
            self._remember(session_key, (time.monotonic() - age, address, user_agent))

    def _is_known(self, session_key: str, address: str, user_agent: str) -> bool:
        with self._lock:
            at, *seen = self._written.get(session_key, (float("-inf"), "", ""))
        return time.monotonic() - at < NEAR_ENOUGH.total_seconds() and seen == [address, user_agent]

    def _remember(self, session_key: str, written: tuple[float, str, str]) -> None:
        with self._lock:
            self._written[session_key] = written
            self._written.move_to_end(session_key)
            if len(self._written) > SESSIONS_KEPT:
                self._written.popitem(last=False)


def write(request: HttpRequest, session_key: str, address: str, user_agent: str) -> float:
    """Bring the session's row up to date, or make it; gives how many seconds ago that was done.

    More than none if another process was faster: what it wrote is near enough.
    """
    now = timezone.now()
    sessions = UserSession.objects.filter(session_key=session_key)
    stale = Q(last_seen_at__lte=now - NEAR_ENOUGH) | ~Q(ip=address) | ~Q(user_agent=user_agent)
    fields = {"last_seen_at": now, "ip": address, "user_agent": user_agent, "user": request.user}
    if sessions.filter(stale).update(**fields):
        return 0
    written_at = sessions.values_list("last_seen_at", flat=True).first()
    if written_at is not None:
        return max(0.0, float((now - written_at).total_seconds()))
    UserSession.objects.bulk_create([UserSession(session_key=session_key, **fields)], ignore_conflicts=True)
    return 0
