"""What convert, compress and batch do: check what was sent, have jobs made of it, wait for one's end."""

from collections.abc import Sequence

from django.conf import settings
from django.http import HttpResponse
from ninja import UploadedFile
from ninja.responses import Status

from images import schemas
from images.errors import not_found
from images.formats import OUTPUTS, Format, output_named
from images.forms import CompressForm, Drawing, JobForm, SingleForm
from images.models import Job
from images.models.job import new_batch_id
from images.orders import Order
from images.queue import accepting, endings
from images.rehearsal import jobs as acted
from images.schemas import Batch, Conversion, JobState
from images.webhooks.endpoints import endpoint_of, fit
from usage.guard.middleware import ApiRequest
from usage.limits.refusals import ApiError, Dialect


def conversion(drawing: Drawing, asked: str, field: str) -> Order:
    """The order for a conversion to the format a client `asked` for, in the form's `field`."""
    return Order(_output(asked, field), drawing.quality, drawing.width, drawing.height)


def compression(form: CompressForm) -> Order:
    if form.quality is not None and form.target_bytes is not None:
        raise ApiError("invalid_request", "Send quality or target_bytes, not both.", field="target_bytes")
    if form.quality is None and form.target_bytes is None:
        raise ApiError(
            "invalid_request", "Send quality or target_bytes: how small is it to be?", field="quality"
        )
    return Order(None, form.quality, target_bytes=form.target_bytes)


def submit_one(
    request: ApiRequest, response: HttpResponse, order: Order, file: UploadedFile, form: SingleForm
) -> Status[Conversion | JobState]:
    """200 with the result if the job ends within the wait, else 202 with the job and its `Location`."""
    if not file.size:
        raise ApiError("invalid_request", "The file is empty.", field="file")
    if request.subject.is_rehearsal:
        return _acted(request, response, order, file, form)
    (job,) = _accept(request, [file], order, form)
    if not (form.in_background or form.webhook_url):
        job = _wait(job)
    state = schemas.state_of(job, Job.objects.place_of(job))
    if job.status == Job.Status.DONE:
        return Status(200, schemas.conversion_of(state))
    return _under_way(request, response, state)


def _acted(
    request: ApiRequest, response: HttpResponse, order: Order, file: UploadedFile, form: SingleForm
) -> Status[Conversion | JobState]:
    """The same for a rehearsal key, of a job that nobody does."""
    _check_webhook(request, form)
    in_background = form.in_background or bool(form.webhook_url)
    state = acted.state_of(acted.new(order, in_background=in_background), bytes=file.size or 0, place=1)
    if in_background:
        return _under_way(request, response, state)
    return Status(200, schemas.conversion_of(state))


def _under_way(request: ApiRequest, response: HttpResponse, state: JobState) -> Status[Conversion | JobState]:
    short = request.route.dialect is Dialect.SHORT
    response["Location"] = f"/job/{state.id}" if short else f"/api/v1/jobs/{state.id}"
    return Status(202, state)


def _check_webhook(request: ApiRequest, form: JobForm) -> None:
    if form.webhook_url:
        fit(request.subject, form.webhook_url)


def submit_batch(
    request: ApiRequest, order: Order, files: Sequence[UploadedFile], form: JobForm
) -> Status[Batch]:
    """202 with a job for each file, in their order; all of them or none."""
    for place, file in enumerate(files, 1):
        if not file.size:
            raise ApiError("invalid_request", f"File {place} of {len(files)} is empty.", field="files")
    batch = new_batch_id()
    if request.subject.is_rehearsal:
        _check_webhook(request, form)
        made = [acted.new(order, in_background=True) for _ in files]
        return Status(
            202,
            Batch(
                id=batch,
                jobs=[
                    acted.state_of(job, bytes=file.size or 0, batch=batch, place=place)
                    for place, (job, file) in enumerate(zip(made, files, strict=True), 1)
                ],
            ),
        )
    jobs = _accept(request, files, order, form, batch)
    first = Job.objects.place_of(jobs[0])
    states = [
        schemas.state_of(job, None if first is None else first + behind) for behind, job in enumerate(jobs)
    ]
    return Status(202, Batch(id=batch, jobs=states))


def _accept(
    request: ApiRequest, files: Sequence[UploadedFile], order: Order, form: JobForm, batch: str = ""
) -> list[Job]:
    if not request.route.charged:
        # The guard saw another route here than the URLs do. Better nothing than work for free.
        raise not_found()
    webhook = None
    if form.webhook_url:
        # First of all: an address that is new to the account may take the place of another, with its log.
        accepting.check_room(request.subject, len(files))
        webhook = endpoint_of(request.subject, form.webhook_url)
    return accepting.accept(request.subject, files, order, webhook=webhook, batch=batch)


def _wait(job: Job) -> Job:
    """The job as it is when it has ended, or when it was waited for long enough; raises what it failed by."""
    endings.wait(job.pk, settings.JOB_WAIT_SECONDS)
    found = Job.objects.filter(pk=job.pk).first()
    if found is None:  # its account was deleted meanwhile
        raise ApiError("not_found", "The job is gone.")
    if found.status == Job.Status.FAILED:
        raise accepting.error_of(found)
    if found.status == Job.Status.CANCELLED:
        raise ApiError("invalid_request", "The job was cancelled.", status=409)
    return found


def _output(asked: str, field: str) -> Format:
    output = output_named(asked)
    if output is None:
        raise unsupported(asked, field)
    return output


def unsupported(asked: str, field: str) -> ApiError:
    names = ", ".join(form.name for form in OUTPUTS)
    return ApiError("unsupported_format", f"We write {names}, not {asked[:40]!r}.", field=field)
