"""How much of a request's body is taken: never more than an upload may have, and than there is room for."""

from collections.abc import Callable
from functools import wraps
from io import BytesIO
from typing import Any, Concatenate, ParamSpec, TypeAlias

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpResponse

from images.errors import answer
from images.queue import accepting
from usage.guard.middleware import ApiRequest
from usage.limits.refusals import ApiError

P = ParamSpec("P")
View: TypeAlias = Callable[Concatenate[ApiRequest, P], HttpResponse]

MOST_FILES = 50  # of a batch
# What a body may have besides its files: the other fields, and the lines between.
FORM_BYTES = 64 * 1024
# Of a Content-Length: 64 bits.
MOST_DIGITS = 20


def bounded_upload(most_files: int = 1) -> Callable[[View[P]], View[P]]:
    """For a view that takes files: looks at the body's size, and whether a large one is worth reading."""

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def bounded(request: ApiRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            try:
                _look_at_headers(request, most_files)
            except ApiError as error:
                return answer(request, error)
            if request.subject.is_rehearsal:
                request.upload_handlers = [Discarded(request)]
            request.upload_handlers.insert(0, BoundedFiles(request, most_files))
            return view(request, *args, **kwargs)

        return bounded

    return decorate


class BoundedFiles(FileUploadHandler):
    """Stops the body at one file too many, and a file at `UPLOAD_MAX_BYTES`, whatever the headers said; the
    other handlers keep its chunks."""

    def __init__(self, request: ApiRequest, most_files: int) -> None:
        super().__init__(request)
        self.most_files = most_files
        self.files = self.received = 0

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        self.files += 1
        self.received = 0
        if self.files > self.most_files:
            raise too_many(self.most_files)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self.received += len(raw_data)
        if self.received > settings.UPLOAD_MAX_BYTES:
            raise too_large(self.most_files)
        return raw_data

    def file_complete(self, file_size: int) -> None:
        pass


class Discarded(FileUploadHandler):
    """Keeps of a file how large it was, for a rehearsal key, whose files nobody looks at."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        return None

    def file_complete(self, file_size: int) -> UploadedFile[bytes]:
        return UploadedFile(BytesIO(), self.file_name, self.content_type, file_size, self.charset)


def too_many(most_files: int) -> ApiError:
    if most_files == 1:
        detail = f"Send one file; up to {MOST_FILES} go to /api/v1/batch."
        return ApiError("invalid_request", detail, field="file")
    return ApiError("invalid_request", f"A batch has {most_files} files at most.", field="files")


def too_large(most_files: int = 1) -> ApiError:
    field = "file" if most_files == 1 else "files"
    return ApiError(
        "image_too_large", f"A file may have {settings.UPLOAD_MAX_BYTES:,} bytes at most.", field=field
    )


def _look_at_headers(request: ApiRequest, most_files: int) -> None:
    length = str(request.META.get("CONTENT_LENGTH") or "")
    if not length:
        # Django reads as much as the header says, so a body without one would look empty.
        if request.META.get("HTTP_TRANSFER_ENCODING"):
            raise ApiError(
                "invalid_request", "Send the body with a Content-Length, not in chunks.", status=411
            )
        return
    if not (length.isascii() and length.isdecimal()):
        raise ApiError("invalid_request", "Content-Length must be a whole number.")
    # Python refuses to read numbers of thousands of digits.
    if len(length) > MOST_DIGITS or int(length) > most_files * settings.UPLOAD_MAX_BYTES + FORM_BYTES:
        raise too_large(most_files)
    if int(length) > FORM_BYTES and not request.subject.is_rehearsal:
        # A full queue costs its client no upload; there is a last look when the job is booked.
        accepting.check_room(request.subject, 1)
