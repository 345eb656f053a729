"""The routes: `/api/v1/…` and the short ones, two dialects of one API. What they do is elsewhere."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern
from ninja import File, Form, NinjaAPI, Router, UploadedFile
from ninja.decorators import decorate_view
from ninja.responses import Status

from accounts.endpoint_limits.limiter import charge
from images import schemas, serving
from images.entitlements import entitlements_of
from images.errors import handle_errors, in_dialect, no_such_job, too_late
from images.forms import BatchForm, CompressForm, ConvertForm, ShortConvertForm
from images.models import Job
from images.models.job import is_id
from images.queue import ends
from images.rehearsal import jobs as acted
from images.rehearsal.acting import rehearsed
from images.schemas import Batch, Conversion, Conversions, Entitlements, JobState
from images.submitting import compression, conversion, submit_batch, submit_one
from images.uploads import MOST_FILES, bounded_upload
from usage.api import keys
from usage.api import router as usage
from usage.guard.middleware import ApiRequest
from usage.subjects import Subject

# What is said of all routes, `images.openapi` adds to what these say of themselves.
api = NinjaAPI(title="KoalaPanel", version="1", urls_namespace="api", openapi_url=None, docs_url=None)
handle_errors(api)

v1 = Router(tags=["images"])
short = Router(tags=["short routes"])


def _errors(*codes: int) -> dict[int, None]:
    # What the guard refuses is added to these: it may refuse on every route.
    return dict.fromkeys(codes)


_MADE: Any = {200: Conversion, 202: JobState, **_errors(400, 409, 411, 413, 415, 422, 503)}
_CONVERT, _COMPRESS = "Convert an image", "Compress an image"


@v1.post("/convert", response=_MADE, operation_id="convert", summary=_CONVERT)
@decorate_view(bounded_upload())
def convert(
    request: ApiRequest, response: HttpResponse, form: Form[ConvertForm], file: File[UploadedFile]
) -> Status[Conversion | JobState]:
    """Answers 200 with the result if the job ends within the wait, else 202 with the job to ask for."""
    return submit_one(request, response, conversion(form, form.output_format, "output_format"), file, form)


@short.post("/convert", response=_MADE, operation_id="short_convert", summary=_CONVERT)
@decorate_view(bounded_upload())
def short_convert(
    request: ApiRequest, response: HttpResponse, form: Form[ShortConvertForm], file: File[UploadedFile]
) -> Status[Conversion | JobState]:
    """As `POST /api/v1/convert`, with errors in the short dialect."""
    return submit_one(request, response, conversion(form, form.output_format, "targetFormat"), file, form)


@v1.post("/compress", response=_MADE, operation_id="compress", summary=_COMPRESS)
@short.post("/compress", response=_MADE, operation_id="short_compress", summary=_COMPRESS)
@decorate_view(bounded_upload())
def compress(
    request: ApiRequest, response: HttpResponse, form: Form[CompressForm], file: File[UploadedFile]
) -> Status[Conversion | JobState]:
    """Keeps the image's format and makes it smaller by `quality` or to `target_bytes`. Answers as convert."""
    return submit_one(request, response, compression(form), file, form)


@v1.post(
    "/batch",
    response={202: Batch, **_errors(400, 411, 413, 415, 503)},
    operation_id="batch",
    summary="Convert many images",
)
@decorate_view(bounded_upload(MOST_FILES))
def batch(request: ApiRequest, form: Form[BatchForm], files: File[list[UploadedFile]]) -> Status[Batch]:
    """A job for each image, in their order, or none at all: a batch is refused whole. It is one request."""
    return submit_batch(request, conversion(form, form.output_format, "output_format"), files, form)


_JOB: Any = {200: JobState, **_errors(404)}
_CANCELLED: Any = {200: JobState, **_errors(404, 409)}
_ASK, _CANCEL = "Ask for a job", "Cancel a job"


@v1.get("/jobs/{job_id}", response=_JOB, operation_id="job", summary=_ASK, tags=["jobs"])
@short.get("/job/{job_id}", response=_JOB, operation_id="short_job", summary=_ASK)
def job(request: ApiRequest, job_id: str) -> JobState:
    """While the result can be downloaded, every answer has a fresh address for it."""
    if request.subject.is_rehearsal:
        return acted.found(job_id)
    found = _job_of(request.subject, job_id)
    return schemas.state_of(found, Job.objects.place_of(found))


@v1.delete("/jobs/{job_id}", response=_CANCELLED, operation_id="cancel", summary=_CANCEL, tags=["jobs"])
@short.delete("/job/{job_id}", response=_CANCELLED, operation_id="short_cancel", summary=_CANCEL)
def cancel(request: ApiRequest, job_id: str) -> JobState:
    """A job that waits or runs ends now, without a result, and its place is free; again changes nothing."""
    if request.subject.is_rehearsal:
        return acted.cancelled(job_id)
    found = _job_of(request.subject, job_id)
    # It may move on between the look at it and its end: from waiting to running, and twice at most.
    while not (found.has_ended or ends.cancel(found)):
        found = _job_of(request.subject, job_id)
    if found.status != Job.Status.CANCELLED:
        raise too_late(found.status)
    return schemas.state_of(found)


def _job_of(subject: Subject, job_id: str) -> Job:
    found = Job.objects.of(subject).filter(pk=job_id).first() if is_id(job_id) else None
    if found is None:
        raise no_such_job()
    return found


@v1.get(
    "/conversions",
    response={200: Conversions, **_errors()},
    operation_id="conversions",
    summary="List the formats",
    tags=["discovery"],
)
@short.get(
    "/conversions",
    response={200: Conversions, **_errors()},
    operation_id="short_conversions",
    summary="List the formats",
)
def conversions(request: ApiRequest) -> Conversions:
    """Which input formats convert to which outputs, and how large an image may be."""
    return schemas.all_conversions(settings.UPLOAD_MAX_BYTES, settings.IMAGE_MAX_PIXELS)


_ENTITLEMENTS: Any = {200: Entitlements, **_errors()}
_MAY_DO = "See what a key may do"


@v1.get(
    "/entitlements/me",
    response=_ENTITLEMENTS,
    operation_id="entitlements",
    summary=_MAY_DO,
    tags=["limits"],
)
@short.get("/entitlements/me", response=_ENTITLEMENTS, operation_id="short_entitlements", summary=_MAY_DO)
@short.get(
    "/convert/entitlements/me",
    response=_ENTITLEMENTS,
    operation_id="short_convert_entitlements",
    summary=_MAY_DO,
)
def entitlements(request: ApiRequest) -> Entitlements:
    """Limits, what is used of them and what is left, of the key, or of the address without one.

    Asking counts against none of these; how often one address may ask has a limit of its own.
    """
    charge("entitlements", request.META)
    return entitlements_of(request.subject)


_SERVED: Any = _errors(404, 410, 503)


@v1.get(
    "/downloads/{token}",
    response=_SERVED,
    operation_id="download",
    summary="Download a result",
    tags=["jobs"],
    openapi_extra={"responses": serving.ANSWERS},
)
@v1.api_operation(
    ["HEAD"],
    "/downloads/{token}",
    response=_SERVED,
    operation_id="look_at_download",
    summary="Look at a result's headers",
    tags=["jobs"],
    openapi_extra={"responses": serving.ANSWERS_WITHOUT_A_FILE},
)
def download(request: ApiRequest, token: str, expires: str = "", signature: str = "") -> HttpResponseBase:
    """Use the whole address that an answer gave. It needs no key, and its limits are its own.

    GET takes one of the 10 uses and always gives the whole file; HEAD takes none.
    """
    return serving.serve(request, token, expires, signature)


api.add_router("/api/v1", v1)
api.add_router("/api/v1", usage)
api.add_router("/api/v1/keys", keys)
api.add_router("", short)


def _with_head(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """HEAD is answered as GET is, where nothing else is said of it; servers send none of the body."""

    @wraps(view)
    def answered(request: ApiRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        if response.status_code == 405 and request.method == "HEAD" and "GET" in response["Allow"]:
            request.method = "GET"
            response = view(request, *args, **kwargs)
            request.method = "HEAD"  # as who sends the answer looks at it
        return response

    return answered


def urls() -> list[URLPattern]:
    """The API's paths, each answered in its dialect; without ninja's own root, which would be the site's."""
    patterns = [one for one in api.urls[0] if isinstance(one, URLPattern) and one.name != "api-root"]
    for pattern in patterns:
        pattern.callback = rehearsed(in_dialect(_with_head(pattern.callback)))
    return patterns
