"""The routes: `/api/v1/…` and the short ones, two dialects of one API. What they do is elsewhere."""

from typing import Any

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern
from ninja import File, Form, NinjaAPI, Router, UploadedFile
from ninja.decorators import decorate_view
from ninja.openapi import get_schema
from ninja.responses import Status

from accounts.endpoint_limits.limiter import charge
from images import downloads, schemas
from images.entitlements import entitlements_of
from images.errors import handle_errors, in_dialect, not_found
from images.formats import OUTPUTS, output_named
from images.models import Job
from images.models.job import is_id
from images.orders import Order
from images.queue import accepting, endings
from images.schemas import (
    Conversion,
    Conversions,
    ConvertForm,
    Entitlements,
    JobState,
    Options,
    ShortConvertForm,
)
from images.uploads import bounded_upload
from usage.api import keys
from usage.api import router as usage
from usage.guard.middleware import ApiRequest
from usage.limits.refusals import ApiError
from usage.schemas import Refusal

api = NinjaAPI(
    title="KoalaPanel",
    version="1",
    description="Image conversion under fair limits. Every answer carries the rate-limit headers.",
    urls_namespace="api",
    openapi_url=None,
    docs_url=None,
    openapi_extra={
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key: `koala_…`."},
                "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
            }
        },
        # The empty one: without a key the limits of the client's address apply.
        "security": [{"bearer": []}, {"header": []}, {}],
    },
)
handle_errors(api)

v1 = Router(tags=["images"])
short = Router(tags=["short routes"])

_ERRORS = dict.fromkeys((400, 401, 403, 404, 410, 411, 413, 415, 422, 429, 503), Refusal)


def _errors(*codes: int) -> dict[int, type[Refusal]]:
    # 401, 403 and 429 come from the guard, on every route that the key or its limits can close.
    return {code: _ERRORS[code] for code in (*codes, 401, 403, 429)}


_CONVERT: Any = {200: Conversion, 202: JobState, **_errors(400, 411, 413, 415, 422, 503)}


@v1.post("/convert", response=_CONVERT, operation_id="convert", summary="Convert an image")
@decorate_view(bounded_upload)
def convert(
    request: ApiRequest, response: HttpResponse, options: Form[ConvertForm], file: File[UploadedFile]
) -> Status[Conversion | JobState]:
    """Answers 200 with the result if the job ends within the wait, else 202 with the job to ask for."""
    return _convert(request, response, options, options.output_format, "output_format", file)


@short.post("/convert", response=_CONVERT, operation_id="short_convert", summary="Convert an image")
@decorate_view(bounded_upload)
def short_convert(
    request: ApiRequest, response: HttpResponse, options: Form[ShortConvertForm], file: File[UploadedFile]
) -> Status[Conversion | JobState]:
    """As `POST /api/v1/convert`, with errors in the short dialect."""
    return _convert(request, response, options, options.output_format, "targetFormat", file)


def _convert(
    request: ApiRequest, response: HttpResponse, options: Options, asked: str, field: str, file: UploadedFile
) -> Status[Conversion | JobState]:
    if not request.route.charged:
        # The guard saw another route here than the URLs do. Better nothing than work for free.
        raise not_found()
    if request.POST.get("webhook_url"):
        raise ApiError(
            "invalid_request",
            "Webhooks aren't available yet. Leave webhook_url out and ask for the job.",
            field="webhook_url",
        )
    output = output_named(asked)
    if output is None:
        names = ", ".join(form.name for form in OUTPUTS)
        raise ApiError("unsupported_format", f"We write {names}, not {asked[:40]!r}.", field=field)
    if not file.size:
        raise ApiError("invalid_request", "The file is empty.", field="file")
    order = Order(output, options.quality, options.width, options.height)
    (job,) = accepting.accept(request.subject, [file], order)
    if not options.in_background:
        endings.wait(job.pk, settings.JOB_WAIT_SECONDS)
        job.refresh_from_db()
    if job.status == Job.Status.FAILED:
        raise accepting.error_of(job)
    state = schemas.state_of(job)
    if job.status == Job.Status.DONE:
        return Status(200, schemas.conversion_of(state))
    response["Location"] = f"/job/{job.pk}" if field == "targetFormat" else f"/api/v1/jobs/{job.pk}"
    return Status(202, state)


@v1.get(
    "/jobs/{job_id}", response={200: JobState, **_errors(404)}, operation_id="job", summary="Ask for a job"
)
@short.get(
    "/job/{job_id}",
    response={200: JobState, **_errors(404)},
    operation_id="short_job",
    summary="Ask for a job",
)
def job(request: ApiRequest, job_id: str) -> JobState:
    """While the result can be downloaded, every answer has a fresh address for it."""
    found = Job.objects.of(request.subject).filter(pk=job_id).first() if is_id(job_id) else None
    if found is None:
        raise ApiError("not_found", "You have no job with this id.")
    return schemas.state_of(found)


@v1.get(
    "/conversions",
    response={200: Conversions, **_errors()},
    operation_id="conversions",
    summary="List the formats",
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


@v1.get("/entitlements/me", response=_ENTITLEMENTS, operation_id="entitlements", summary=_MAY_DO)
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


@v1.get(
    "/downloads/{token}",
    response=_errors(404, 410),
    operation_id="download",
    summary="Download a result",
    openapi_extra={"responses": {200: {"description": "The file", "content": {"image/*": {}}}}},
)
def download(request: ApiRequest, token: str, expires: str = "", signature: str = "") -> FileResponse:
    """Use the whole address that an answer gave. It needs no key, and its limits are its own."""
    # Before anything else: a refused download takes no use, and guessing at tokens is counted, too.
    charge("download", request.META)
    found, file = downloads.redeem(token, expires, signature)
    output = output_named(found.output_format)
    response = FileResponse(
        file,
        as_attachment=True,
        filename=f"{found.pk}.{found.output_format}",
        content_type=output.content_type if output else "application/octet-stream",
    )
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Cache-Control"] = "no-store"
    return response


@v1.get("/openapi.json", include_in_schema=False)
def openapi(request: HttpRequest) -> HttpResponse:
    return JsonResponse(get_schema(api, path_prefix=""))


api.add_router("/api/v1", v1)
api.add_router("/api/v1", usage)
api.add_router("/api/v1/keys", keys)
api.add_router("", short)


def urls() -> list[URLPattern]:
    """The API's paths, each answered in its dialect; without ninja's own root, which would be the site's."""
    patterns = [one for one in api.urls[0] if isinstance(one, URLPattern) and one.name != "api-root"]
    for pattern in patterns:
        pattern.callback = in_dialect(pattern.callback)
    return patterns
