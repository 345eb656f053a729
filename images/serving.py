"""How a result reaches whoever has its address: from this process, from nginx, or from a bucket.

Only the first carries the bytes through Python. In each the file is found before the use is taken, so that a
storage that fails, or a file that is gone, costs the client nothing.
"""

from typing import Any, Protocol, TypeVar, cast
from urllib.parse import quote

from django.conf import settings
from django.http import FileResponse, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

from accounts.endpoint_limits.limiter import charge
from images import downloads
from images.formats import OUTPUTS, output_named
from images.models import Job
from images.models.download import ADDRESS_OF_FILE_LIFE
from images.rehearsal import samples
from usage.guard.guard import REHEARSAL
from usage.guard.middleware import ApiRequest
from usage.limits.refusals import ApiError

ResponseT = TypeVar("ResponseT", bound=HttpResponseBase)

ANSWERS: dict[int, Any] = {
    200: {
        "description": "The file",
        "content": {
            output.content_type: {"schema": {"type": "string", "format": "binary"}} for output in OUTPUTS
        },
    },
    302: {
        "description": "Where results are kept in S3: the file is at `Location`, for 60 seconds",
    },
}
ANSWERS_WITHOUT_A_FILE: dict[int, Any] = {200: {"description": "The file's headers"}}


class AddressedStorage(Protocol):
    """A storage that serves its files itself (`images.bucket`)."""

    def url(self, name: str, parameters: dict[str, str], expire: int) -> str: ...


class Streamed(FileResponse):
    # In bytes; each takes a turn through the server. 20 MB cost 17 ms of processor, by Django's 4 KiB 48 ms.
    block_size = 64 * 1024


def serve(request: ApiRequest, token: str, expires: str, signature: str) -> HttpResponseBase:
    """The answer to a request for a result, by GET for one of its uses or by HEAD for none.

    Raises `ApiError` `not_found` or `token_exhausted`, what `charge` raises, and `OSError` where the storage
    fails.
    """
    # Before anything else: a refused download takes no use, and guessing at tokens is counted, too.
    charge("download", request.META)
    if (sample := samples.of_token(token)) is not None:
        return _sample(request, sample, token, expires, signature)
    download = downloads.find(token, expires, signature)
    if request.method == "HEAD":
        return _described(download.job)
    try:
        response = _handed_over(download.job)
    except (FileNotFoundError, ValueError):  # its account was closed, say; the row goes later
        raise ApiError("token_exhausted", "The result is gone. Convert the image again.") from None
    if not download.use():
        response.close()
        raise downloads.exhausted(download)
    return response


def _sample(
    request: ApiRequest, sample: samples.Sample, token: str, expires: str, signature: str
) -> HttpResponse:
    """The result of a job that a rehearsal key asked for; uses aren't counted, as nothing of it is kept."""
    downloads.check_signature(token, expires, signature)
    downloads.check_expiry(expires)
    job = Job(id=token, output_format=sample.format.name, output_bytes=len(sample.content))
    response = (
        _described(job) if request.method == "HEAD" else _with_headers(HttpResponse(sample.content), job)
    )
    if not request.subject.is_rehearsal:  # the address alone is enough, as for any result
        for name, value in REHEARSAL.items():
            response.headers[name] = value
    return response


def _handed_over(job: Job) -> HttpResponseBase:
    if settings.S3_URL:
        return _from_bucket(job)
    if settings.X_ACCEL_PREFIX:
        return _from_nginx(job)
    return _with_headers(Streamed(job.result.open("rb")), job)


def _from_nginx(job: Job) -> HttpResponse:
    _must_exist(job)
    response = _with_headers(HttpResponse(), job)
    # The name is the server's own, and the look at the storage has refused one that leads out of it.
    response["X-Accel-Redirect"] = settings.X_ACCEL_PREFIX + quote(str(job.result.name))
    return response


def _from_bucket(job: Job) -> HttpResponse:
    _must_exist(job)
    storage = cast(AddressedStorage, job.result.storage)
    told = {
        "ResponseContentType": _content_type(job),
        "ResponseContentDisposition": _disposition(job),
        "ResponseCacheControl": "no-store",
    }
    expire = int(ADDRESS_OF_FILE_LIFE.total_seconds())
    response = HttpResponseRedirect(storage.url(str(job.result.name), parameters=told, expire=expire))
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response


def _must_exist(job: Job) -> None:
    if not job.result or not job.result.storage.exists(str(job.result.name)):
        raise FileNotFoundError(job.result.name)


def _described(job: Job) -> HttpResponse:
    response = _with_headers(HttpResponse(), job)
    response["Content-Length"] = str(job.output_bytes)
    return response


def _with_headers(response: ResponseT, job: Job) -> ResponseT:
    """Whatever is in the file, a browser may do nothing with it but keep it, and nobody in between may."""
    response["Content-Type"] = _content_type(job)
    response["Content-Disposition"] = _disposition(job)
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Cache-Control"] = "no-store"
    response["Accept-Ranges"] = "none"  # each request takes a use, and gets all of the file for it
    return response


def _content_type(job: Job) -> str:
    """By what we have written, never by what a client called it."""
    output = output_named(job.output_format)
    return output.content_type if output else "application/octet-stream"


def _disposition(job: Job) -> str:
    return str(content_disposition_header(True, f"{job.pk}.{job.output_format}"))
