"""How much of a request's body is taken: never more than an upload may have."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpResponse

from images.errors import answer
from usage.guard.middleware import ApiRequest
from usage.limits.refusals import ApiError

P = ParamSpec("P")

# What a body may have besides its file: the other fields, and the lines between.
FORM_BYTES = 64 * 1024
# Of a Content-Length: 64 bits.
MOST_DIGITS = 20


def bounded_upload(
    view: Callable[Concatenate[ApiRequest, P], HttpResponse],
) -> Callable[Concatenate[ApiRequest, P], HttpResponse]:
    """For a view that takes a file: looks at the body's size before anything parses it."""

    @wraps(view)
    def bounded(request: ApiRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        error = _refusal_by_header(request)
        if error is not None:
            return answer(request, error)
        request.upload_handlers.insert(0, BoundedFile(request))
        return view(request, *args, **kwargs)

    return bounded


class BoundedFile(FileUploadHandler):
    """Stops a file at `UPLOAD_MAX_BYTES`, whatever the headers said; the other handlers keep its chunks."""

    received = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self.received += len(raw_data)
        if self.received > settings.UPLOAD_MAX_BYTES:
            raise too_large()
        return raw_data

    def file_complete(self, file_size: int) -> None:
        self.received = 0


def too_large() -> ApiError:
    return ApiError(
        "image_too_large", f"A file may have {settings.UPLOAD_MAX_BYTES:,} bytes at most.", field="file"
    )


def _refusal_by_header(request: ApiRequest) -> ApiError | None:
    length = str(request.META.get("CONTENT_LENGTH") or "")
    if not length:
        # Django reads as much as the header says, so a body without one would look empty.
        if request.META.get("HTTP_TRANSFER_ENCODING"):
            return ApiError(
                "invalid_request", "Send the body with a Content-Length, not in chunks.", status=411
            )
        return None
    if not (length.isascii() and length.isdecimal()):
        return ApiError("invalid_request", "Content-Length must be a whole number.")
    # Python refuses to read numbers of thousands of digits.
    too_long = len(length) > MOST_DIGITS or int(length) > settings.UPLOAD_MAX_BYTES + FORM_BYTES
    return too_large() if too_long else None
