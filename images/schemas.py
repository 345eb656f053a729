"""The bodies of answers, as OpenAPI shows them; `images.forms` has those of requests."""

from datetime import datetime
from typing import Literal

from ninja import Schema
from pydantic import Field

from images import downloads
from images.formats import INPUTS, OUTPUTS
from images.models import Job


class Picture(Schema):
    format: str
    width: int
    height: int
    bytes: int


class JobError(Schema):
    code: str
    detail: str
    field: str | None = None


class Conversion(Schema):
    """A finished job. The address serves the result 10 times at most; a fresh one is in the job."""

    id: str = Field(examples=["job_5pX2mVbQ8nRk3TzLw7YcJd"])
    status: Literal["done"]
    download_url: str
    expires_at: datetime
    input: Picture
    output: Picture


class JobState(Schema):
    """A job at any time. `progress` is in percent; what isn't known yet, or not any more, is null."""

    id: str = Field(examples=["job_5pX2mVbQ8nRk3TzLw7YcJd"])
    operation: Job.Operation
    batch: str | None = None
    status: Job.Status
    progress: int
    created_at: datetime
    ended_at: datetime | None = None
    error: JobError | None = None
    download_url: str | None = None
    expires_at: datetime | None = None
    input: Picture | None = None
    output: Picture | None = None


class Batch(Schema):
    """What was made of a batch: a job for each file, in the order of the files."""

    id: str = Field(examples=["batch_8QdW3nLk5RtYbVx2MzC7pH"])
    jobs: list[JobState]


class InputFormat(Schema):
    format: str
    content_type: str
    outputs: list[str]


class Conversions(Schema):
    inputs: list[InputFormat]
    outputs: list[str]
    max_bytes: int
    max_pixels: int


class Entitlement(Schema):
    """One limit: its number (null is no limit), whether the tier or an override of the key gives it, how much
    is used now and how much is left, and when all of it is back.

    `used` is null while the counters can't be read, `left` then, and without a limit.
    """

    limit: int | None = Field(examples=[30])
    source: Literal["tier", "override"]
    used: int | None
    left: int | None
    resets_at: datetime | None = Field(description="Null where each use is given back by itself.")


class EntitlementsByLimit(Schema):
    """Requests per minute and per UTC day, and at once; the account's jobs that run, and that wait.

    What is left of `queued` is how many more jobs the queue takes.
    """

    minute: Entitlement
    day: Entitlement
    concurrent: Entitlement
    parallel: Entitlement
    queued: Entitlement


class EscalationTier(Schema):
    """Where on the ladder the key or address stands; `until` is when its block ends, if it is blocked."""

    tier: int
    name: str = Field(examples=["Clear"])
    until: datetime | None


class Entitlements(Schema):
    """What the asking key, or without one the address, may do now. All times are UTC.

    While `live` is false the counters can't be read.
    """

    now: datetime
    live: bool
    key: str | None = Field(description="The key's visible start; null for an address.")
    tier: str = Field(examples=["free"])
    limits: EntitlementsByLimit
    escalation: EscalationTier | None = Field(description="Null while it isn't known.")


def state_of(job: Job) -> JobState:
    address = downloads.address(job) if job.status == Job.Status.DONE else None
    failed = job.status == Job.Status.FAILED
    return JobState(
        id=job.pk,
        operation=Job.Operation(job.operation),
        batch=job.batch or None,
        status=Job.Status(job.status),
        progress=job.progress,
        created_at=job.created_at,
        ended_at=job.ended_at,
        error=JobError(code=job.error_code, detail=job.error_detail, field=job.error_field or None)
        if failed
        else None,
        download_url=address.url if address else None,
        expires_at=address.expires_at if address else None,
        input=_picture(job.input_format, job.input_width, job.input_height, job.input_bytes),
        output=_picture(job.output_format, job.output_width, job.output_height, job.output_bytes),
    )


def conversion_of(state: JobState) -> Conversion:
    return Conversion.model_validate({name: getattr(state, name) for name in Conversion.model_fields})


def all_conversions(max_bytes: int, max_pixels: int) -> Conversions:
    outputs = [form.name for form in OUTPUTS]
    return Conversions(
        inputs=[
            InputFormat(format=form.name, content_type=form.content_type, outputs=outputs) for form in INPUTS
        ],
        outputs=outputs,
        max_bytes=max_bytes,
        max_pixels=max_pixels,
    )


def _picture(form: str, width: int | None, height: int | None, size: int | None) -> Picture | None:
    if not form or width is None or height is None or size is None:
        return None
    return Picture(format=form, width=width, height=height, bytes=size)
