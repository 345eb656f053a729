"""Answers what the limiter raises, in whatever view: programs in their dialect, people with a page."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, cast

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils.http import escape_leading_slashes

from accounts.endpoint_limits.limiter import EndpointLimitReached
from accounts.endpoint_limits.names import Name
from usage import routes
from usage.endpoint_limits.hits import book, per, refusal_of
from usage.guard.middleware import ApiRequest
from usage.limits.refusals import PROBLEM, Dialect

# Booked for whoever asks, because what a key may do is asked with that key. The others are the address's:
# whose key a download or a validation came with says nothing of who overdoes it.
OF_THE_SUBJECT: frozenset[Name] = frozenset({"entitlements"})

_JSON = "application/json"


class Words(NamedTuple):
    """What the page says of a limit: its headline, what may be done so often, what became of this one."""

    headline: str
    allowed: str
    outcome: str


WORDS: Mapping[Name, Words] = {
    "login": Words(
        "Too many sign-in attempts",
        "Passwords and codes can be tried {rate} from one internet address.",
        "This attempt was not looked at, so it was neither right nor wrong.",
    ),
    "password_reset": Words(
        "Too many reset requests",
        "A new password can be asked for {rate} from one internet address.",
        "No email was sent this time. Look for the earlier ones, among unwanted mail as well.",
    ),
    "contact": Words(
        "Too many messages",
        "Messages can be sent {rate} from one internet address.",
        "This one was not sent. Go back to it, and send it again when the wait is over.",
    ),
    "oidc_authorize": Words(
        "Too many sign-ins",
        "Signing in to other services from here works {rate} from one internet address.",
        "Nothing was passed on to the other service.",
    ),
}
OTHERS = Words(
    "Too many requests",
    "This can be asked for {rate} from one internet address.",
    "This request was not carried out.",
)


class EndpointLimitMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The 429 for an endpoint limit that was reached; None, which is Django's own answer, for others."""
        if not isinstance(exception, EndpointLimitReached):
            return None
        accept = request.headers.get("Accept", "")
        if routes.is_api_path(request.path_info):
            api_request = cast(ApiRequest, request)
            route = api_request.route
            subject_id = api_request.subject.id if exception.name in OF_THE_SUBJECT else None
            book(exception, request.META, route=route.name, subject_id=subject_id)
            return refusal_of(exception, dialect=route.dialect, accept=accept).response()
        match = request.resolver_match
        book(exception, request.META, route=match.view_name if match is not None else "")
        if request.get_preferred_type(["text/html", _JSON, PROBLEM]) in (_JSON, PROBLEM):
            return refusal_of(exception, dialect=Dialect.API, accept=accept).response()
        return _page(request, exception)


def _page(request: HttpRequest, reached: EndpointLimitReached) -> HttpResponse:
    words = WORDS.get(reached.name, OTHERS)
    times = "once" if reached.requests == 1 else f"{reached.requests:,} times"
    now = datetime.now(UTC)
    context = {
        "words": words,
        "allowed": words.allowed.format(rate=f"{times} {per(reached.seconds)}"),
        "now": now,
        "until": now + timedelta(seconds=reached.retry_after),
        "back": _way_back(request, reached),
        "by_form": request.method == "POST",
    }
    return HttpResponse(
        render_to_string("429.html", context),
        status=429,
        headers={"Retry-After": str(reached.retry_after), "Cache-Control": "no-store"},
    )


def _way_back(request: HttpRequest, reached: EndpointLimitReached) -> str | None:
    """The address to try again: a form is at the one that it was sent to.

    `None` where a service had its question sent as a form: only the service can ask it again.
    """
    if request.method != "POST":
        return request.get_full_path()
    if reached.name == "oidc_authorize":
        return None
    query = request.GET.copy()
    # Where a form leads afterwards may be one of its fields; the view that uses it checks it, as ever.
    if (leads_to := request.POST.get(REDIRECT_FIELD_NAME)) is not None:
        query.setdefault(REDIRECT_FIELD_NAME, leads_to)
    path = escape_leading_slashes(request.path)
    return f"{path}?{query.urlencode(safe='/')}" if query else path
