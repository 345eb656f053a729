"""The bodies of answers, as OpenAPI shows them; `images.forms` has those of requests."""

from datetime import datetime
from typing import Annotated, Literal

from ninja import Schema
from pydantic import Field

from images import downloads
from images.formats import INPUTS, OUTPUTS
from images.models import Job
from images.models.job import MOST_PLACES

JobId = Annotated[
    str, Field(examples=["job_5pX2mVbQ8nRk3TzLw7YcJd"], description="The job's id, to ask for it by.")
]
DOWNLOAD = "https://koala.example/api/v1/downloads/vY3…?expires=1706749345&signature=5f0e…"


class Picture(Schema):
    """What is known of an image: as it was sent, or as it was made."""

    format: str = Field(examples=["png"], description="As in the list of conversions.")
    width: int = Field(examples=[1200], description="In pixels.")
    height: int = Field(examples=[800], description="In pixels.")
    bytes: int = Field(examples=[812_345], description="The file's size.")


class JobError(Schema):
    """Why a job failed, in the words of a refusal."""

    code: str = Field(examples=["unsupported_format"], description="A code of the refusals' table.")
    detail: str = Field(
        examples=["This is no image of a format we read."], description="A sentence for people."
    )
    field: str | None = Field(None, examples=["file"], description="The part of the request at fault.")


class Conversion(Schema):
    """A finished job. The address serves the result 10 times at most; the job has a fresh one."""

    id: JobId
    status: Literal["done"] = Field(description="It has ended well.")
    download_url: str = Field(
        examples=[DOWNLOAD], description="Where the result is; a key isn't needed, the address is enough."
    )
    expires_at: datetime = Field(description="Until when the address is good: for an hour.")
    input: Picture = Field(description="The image that was sent.")
    output: Picture = Field(description="The image that was made.")


class JobState(Schema):
    """A job at any time. What isn't known yet, or not any more, is null."""

    id: JobId
    operation: Job.Operation = Field(description="What was asked for; a batch is of conversions.")
    batch: str | None = Field(
        None, examples=["batch_8QdW3nLk5RtYbVx2MzC7pH"], description="The batch it came with."
    )
    status: Job.Status = Field(
        description="It waits (queued), runs, and ends: done, failed or cancelled. A job whose worker died "
        "waits once more."
    )
    progress: int = Field(ge=0, le=100, examples=[40], description="In percent.")
    place: int | None = Field(
        None,
        examples=[3],
        description="While it waits: its place among the account's waiting jobs, of which 1 is next. Null as "
        f"well behind more than {MOST_PLACES:,}.",
    )
    created_at: datetime = Field(description="When it was accepted.")
    ended_at: datetime | None = Field(None, description="When it ended.")
    error: JobError | None = Field(None, description="Why it failed, if it did.")
    download_url: str | None = Field(
        None, examples=[DOWNLOAD], description="A fresh address of the result, while it can be downloaded."
    )
    expires_at: datetime | None = Field(None, description="Until when that address is good.")
    input: Picture | None = Field(None, description="The image that was sent, as far as it was looked at.")
    output: Picture | None = Field(None, description="The image that was made.")


class Batch(Schema):
    """What became of a batch: a job for each file."""

    id: str = Field(examples=["batch_8QdW3nLk5RtYbVx2MzC7pH"], description="Each of its jobs names it.")
    jobs: list[JobState] = Field(description="In the order of the files.")


class InputFormat(Schema):
    """A format that is read, known by a file's content and never by its name."""

    format: str = Field(examples=["heic"], description="Its name here.")
    content_type: str = Field(examples=["image/heic"], description="Its media type.")
    outputs: list[str] = Field(examples=[["webp", "jpg"]], description="What it converts to.")


class Conversions(Schema):
    """Which formats are read and written, and how large an image may be."""

    inputs: list[InputFormat] = Field(description="The formats that are read.")
    outputs: list[str] = Field(examples=[["webp", "jpg"]], description="The formats that are written.")
    max_bytes: int = Field(examples=[26_214_400], description="How large a file may be.")
    max_pixels: int = Field(
        examples=[50_000_000], description="How many pixels an image may have, of all its frames together."
    )


class Entitlement(Schema):
    """One limit: its number, where that comes from, and how much of it is used and left."""

    limit: int | None = Field(examples=[30], description="Null is no limit.")
    source: Literal["tier", "override"] = Field(
        description="The key's tier, or an override of the key's own."
    )
    used: int | None = Field(examples=[4], description="Now. Null while the counters can't be read.")
    left: int | None = Field(examples=[26], description="Null without a limit, too.")
    resets_at: datetime | None = Field(
        description="When all of it is back; null where each use is given back by itself."
    )


class EntitlementsByLimit(Schema):
    """Limits on requests, which count per key or address, and on jobs, which count per account or address."""

    minute: Entitlement = Field(description="Requests in this minute of the clock.")
    day: Entitlement = Field(description="Requests in this UTC day.")
    concurrent: Entitlement = Field(description="Requests in flight.")
    parallel: Entitlement = Field(description="Jobs that run.")
    queued: Entitlement = Field(description="Jobs that wait. What is left is how many more are taken.")


class EscalationNow(Schema):
    """Where on the escalation ladder the key or address stands."""

    tier: int = Field(ge=0, le=5, examples=[0], description="0 is clear, 5 is suspended.")
    name: str = Field(examples=["Clear"], description="The tier's name.")
    until: datetime | None = Field(description="When its block ends, if it is blocked.")


class Uploads(Schema):
    """How large what is sent may be."""

    max_bytes: int = Field(examples=[26_214_400], description="Of a file.")
    max_pixels: int = Field(
        examples=[50_000_000], description="Of an image: width times height, times its frames."
    )
    max_files: int = Field(examples=[50], description="Of a batch.")


class Entitlements(Schema):
    """What the asking key, or without one the address, may do now."""

    now: datetime = Field(description="The time of all these numbers.")
    live: bool = Field(description="False while the counters can't be read.")
    key: str | None = Field(
        examples=["koala_8fQx2a"], description="The key's visible start; null for an address."
    )
    tier: str = Field(examples=["free"], description="The tier that the limits come from.")
    rehearsal: bool = Field(
        description="Whether it is a rehearsal key, which converts nothing and counts against no limit."
    )
    limits: EntitlementsByLimit = Field(description="The limits in force.")
    escalation: EscalationNow | None = Field(description="Null while it isn't known.")
    uploads: Uploads = Field(description="What may be sent.")
    accepts_jobs: bool = Field(
        description="Whether the workers' common queue has room now. Without, jobs are refused with "
        "`queue.pool_saturated`, whatever is left of the limits."
    )


def state_of(job: Job, place: int | None = None) -> JobState:
    """The job as it was read; `place` is its place among those that wait, if it does."""
    address = downloads.address(job) if job.status == Job.Status.DONE else None
    failed = job.status == Job.Status.FAILED
    return JobState(
        id=job.pk,
        operation=Job.Operation(job.operation),
        batch=job.batch or None,
        status=Job.Status(job.status),
        progress=job.progress,
        place=place,
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
