"""How much of a request's body is taken where it is a few fields of JSON."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpResponse

from usage.guard.middleware import ApiRequest
from usage.limits.refusals import refusal

P = ParamSpec("P")

MOST_BYTES = 4096


def small_body(
    view: Callable[Concatenate[ApiRequest, P], HttpResponse],
) -> Callable[Concatenate[ApiRequest, P], HttpResponse]:
    """For a view that takes a little JSON: looks at the body's size before anything reads it."""

    @wraps(view)
    def bounded(request: ApiRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        wrong = _what_is_wrong(request)
        if wrong is None:
            return view(request, *args, **kwargs)
        status, detail = wrong
        accept = request.headers.get("Accept", "")
        return refusal(
            "invalid_request", detail, dialect=request.route.dialect, accept=accept, status=status
        ).response()

    return bounded


def _what_is_wrong(request: ApiRequest) -> tuple[int, str] | None:
    """Status and sentence, if anything is."""
    length = str(request.META.get("CONTENT_LENGTH") or "")
    if not length:
        # Django reads as much as the header says, so a body without one would look empty.
        in_chunks = request.META.get("HTTP_TRANSFER_ENCODING")
        return (411, "Send the body with a Content-Length, not in chunks.") if in_chunks else None
    if not (length.isascii() and length.isdecimal()):
        return 400, "Content-Length must be a whole number."
    # Python refuses to read numbers of thousands of digits.
    if len(length) > len(str(MOST_BYTES)) or int(length) > MOST_BYTES:
        return 413, f"This takes {MOST_BYTES:,} bytes at most."
    return None
