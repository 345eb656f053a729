"""Jobs as the pages tell of them: formats and sizes in force, and answers as the API gives them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from images import schemas
from images.downloads import URL_LIFE
from images.formats import INPUTS, OUTPUTS, Format
from images.models import Job
from images.models.download import LIFE, USES
from images.models.job import KEPT_FOR
from images.uploads import MOST_FILES
from usage.escalation.words import span

JOB = "job_5pX2mVbQ8nRk3TzLw7YcJd"
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FormatRow:
    """A format and what it can hold, each as a word; `is_read` and `is_written` by us."""

    name: str
    content_type: str
    is_read: bool
    is_written: bool
    has_transparency: bool
    keeps_frames: bool


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is in force, in the units people use: megabytes of 1,048,576 bytes, megapixels, words."""

    largest_file: str
    most_pixels: str
    wait: str
    batch: int
    uses: int
    token_life: str
    address_life: str
    kept_for: str


def formats() -> list[FormatRow]:
    every: list[Format] = [*INPUTS, *(form for form in OUTPUTS if form not in INPUTS)]
    return [
        FormatRow(form.name, form.content_type, form in INPUTS, form in OUTPUTS, form.alpha, form.animated)
        for form in every
    ]


def sizes() -> Sizes:
    return Sizes(
        largest_file=f"{settings.UPLOAD_MAX_BYTES / _MEGABYTE:,.10g} MB",
        most_pixels=f"{settings.IMAGE_MAX_PIXELS / 1_000_000:,.10g} megapixels",
        wait=span(settings.JOB_WAIT_SECONDS),
        batch=MOST_FILES,
        uses=USES,
        token_life=span(int(LIFE.total_seconds())),
        address_life=span(URL_LIFE),
        kept_for=span(int(KEPT_FOR.total_seconds())),
    )


def running(now: datetime) -> str:
    """The answer 202: a job that isn't done yet."""
    return _as_json(_state(now, status=Job.Status.RUNNING, progress=40))


def done(now: datetime) -> str:
    """The answer 200: a finished job."""
    return _as_json(schemas.conversion_of(done_state(now)))


def done_state(now: datetime) -> schemas.JobState:
    """A job that is just done."""
    expires_at = now.replace(microsecond=0) + timedelta(seconds=URL_LIFE)
    query = f"expires={int(expires_at.timestamp())}&signature=6f1a…"
    return _state(
        now,
        status=Job.Status.DONE,
        progress=100,
        ended_at=now.replace(microsecond=0),
        download_url=f"{settings.BASE_URL}/api/v1/downloads/Zp3k…?{query}",
        expires_at=expires_at,
        input=schemas.Picture(format="png", width=1200, height=800, bytes=812_345),
        output=schemas.Picture(format="webp", width=1200, height=800, bytes=91_234),
    )


def _state(now: datetime, **known: object) -> schemas.JobState:
    return schemas.JobState.model_validate(
        {
            "id": JOB,
            "operation": Job.Operation.CONVERT,
            "created_at": now.replace(microsecond=0),
            **known,
        }
    )


def _as_json(answer: schemas.JobState | schemas.Conversion) -> str:
    return answer.model_dump_json(indent=2)
