"""Every error of this app's routes becomes a refusal in the client's dialect here, and nowhere else.

But for what an endpoint limit refuses: that is answered where the pages' are, in `usage.endpoint_limits`.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import (
    BadRequest,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from usage.guard.middleware import ApiRequest
from usage.limits.refusals import ApiError, Dialect, Refusal, refusal

logger = logging.getLogger(__name__)

DATABASE_RETRY_SECONDS = 2  # as the guard says where it can't ask SQL for a key
FILES_RETRY_SECONDS = 5

# What parsing a body raises, in our own words: the framework's name its settings.
MALFORMED: dict[type[Exception], str] = {
    RequestDataTooBig: "The form's text fields are too long.",
    TooManyFieldsSent: "The form has too many fields.",
    TooManyFilesSent: "The form has too many files.",
    MultiPartParserError: "The request's body is no well-formed multipart/form-data.",
    UnicodeError: "The form's text can't be read in its charset. Send UTF-8.",
    LookupError: "The form's text can't be read in its charset. Send UTF-8.",
    UnreadablePostError: "The request's body ended before its Content-Length.",
    BadRequest: "The request's body can't be read.",
    SuspiciousOperation: "The request's body can't be read.",
}


def answer(request: ApiRequest, error: ApiError) -> HttpResponse:
    """The error as this request's client takes it; a refusal gives back what the request was charged."""
    request.admission.refused_as = error.refused_as
    accept = request.headers.get("Accept", "")
    response = refusal_of(error, dialect=request.route.dialect, accept=accept).response()
    # Django would log the path of a 5xx, and with it a download's token. What failed was logged where it did.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def refusal_of(error: ApiError, *, dialect: Dialect, accept: str, retry_after: int | None = None) -> Refusal:
    """The error as a refusal; `retry_after` is in place of its own, in seconds."""
    headers = dict(error.headers)
    own = headers.pop("Retry-After", None)
    if retry_after is None and own is not None:
        retry_after = int(own)
    return refusal(
        error.code,
        error.detail,
        dialect=dialect,
        accept=accept,
        status=error.status,
        field=error.field,
        retry_after=retry_after,
        headers=headers,
    )


def handle_errors(api: NinjaAPI) -> None:
    """Give `api` our answer to all that a client can get wrong, and to a database or storage that is away."""

    def handler(translate: Callable[[Any], ApiError]) -> Callable[[HttpRequest, Any], HttpResponse]:
        return lambda request, error: answer(request, translate(error))  # type: ignore[arg-type]

    api.add_exception_handler(ApiError, handler(lambda error: error))
    api.add_exception_handler(ValidationError, handler(_of_validation))
    # What ninja itself says of a body that it can't parse.
    api.add_exception_handler(HttpError, handler(_of_json))
    api.add_exception_handler(Http404, handler(lambda error: not_found()))
    for away in (OperationalError, InterfaceError):
        api.add_exception_handler(away, handler(_without_sql))
    api.add_exception_handler(OSError, handler(_without_files))
    for kind in MALFORMED:
        api.add_exception_handler(kind, handler(_of_form))


def in_dialect(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """What ninja answers without asking its handlers: a method that the path doesn't have."""

    @wraps(view)
    def answered(request: ApiRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        if response.status_code != 405:
            # Every answer tells how the limits stand now, and some have an address that is a secret.
            response.headers.setdefault("Cache-Control", "no-store")
            return response
        methods = set(response["Allow"].split(", "))
        allow = ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))
        detail = f"{request.path} takes {allow}, not {request.method}."
        return answer(request, ApiError("invalid_request", detail, status=405, headers={"Allow": allow}))

    answered.csrf_exempt = True  # type: ignore[attr-defined]  # keys come in headers, and no cookie is read
    return answered


def no_such_route(request: HttpRequest) -> HttpResponse:
    """The view for every other path below the API's prefixes."""
    return answer(request, not_found())  # type: ignore[arg-type]


no_such_route.csrf_exempt = True  # type: ignore[attr-defined]


def not_found() -> ApiError:
    return ApiError("not_found", "Nothing is here. The API's routes are listed at /api/v1/openapi.json.")


def no_such_job() -> ApiError:
    return ApiError("not_found", "You have no job with this id.")


def too_late(status: str) -> ApiError:
    """The job can't be cancelled any more."""
    return ApiError("invalid_request", f"The job has ended already: it is {status}.", status=409)


def _of_validation(error: ValidationError) -> ApiError:
    first = error.errors[0]
    field = str(first["loc"][-1])
    what = "is missing" if first["type"] == "missing" else f"is wrong: {first['msg']}"
    return ApiError("invalid_request", f"The field {field!r} {what}.", field=field)


def _of_json(error: HttpError) -> ApiError:
    return ApiError("invalid_request", "The request's body is no well-formed JSON.", status=error.status_code)


def _without_sql(error: Exception) -> ApiError:
    logger.error("The database can't be asked: %s", error)
    return ApiError(
        "limits_unavailable",
        f"This can't be looked up right now. Try again in {DATABASE_RETRY_SECONDS} s.",
        headers={"Retry-After": str(DATABASE_RETRY_SECONDS)},
    )


def _without_files(error: OSError) -> ApiError:
    logger.error("A file can't be kept or fetched: %s", error, exc_info=error)
    return ApiError(
        "limits_unavailable",
        f"Files can't be kept or fetched right now. Try again in {FILES_RETRY_SECONDS} s.",
        headers={"Retry-After": str(FILES_RETRY_SECONDS)},
    )


def _of_form(error: Exception) -> ApiError:
    if isinstance(error, KeyError | IndexError):
        raise error  # a bug of ours: of the look-ups only a codec's can fail by what a client sent
    sentence = next(MALFORMED[kind] for kind in type(error).__mro__ if kind in MALFORMED)
    status = 413 if isinstance(error, RequestDataTooBig) else 400
    return ApiError("invalid_request", sentence, status=status)
