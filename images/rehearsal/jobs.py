"""Jobs that nobody does. Each is its id: what was asked for, in which way and when; the clock does the rest.

`job_rehearsal`, a letter for the operation (small: done at once), one for the format, six for the time, five
by chance: 22 characters behind `job_`, as in any id. Whoever makes one up finds the same small picture.
"""

import secrets
import string
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from images import downloads
from images.errors import no_such_job, too_late
from images.formats import OUTPUTS, PNG, Format
from images.models import Job
from images.models.download import LIFE
from images.models.job import KEPT_FOR, is_id
from images.orders import Order
from images.rehearsal.samples import HEIGHT, WIDTH, sample_of
from images.schemas import JobState, Picture

MARK = "job_rehearsal"
# Seconds after which one that isn't done at once runs, and is done.
RUNS_AFTER, DONE_AFTER = 1, 3

_ALPHABET = string.digits + string.ascii_letters
_OPERATIONS = {"C": Job.Operation.CONVERT, "Z": Job.Operation.COMPRESS}
_FORMATS = dict(zip(string.ascii_letters, OUTPUTS, strict=False))
_TIME_DIGITS = 6  # good for 1,800 years
_RANDOM = 5


@dataclass(frozen=True, slots=True)
class ActedJob:
    """`accepted_at` is in Unix seconds."""

    id: str
    operation: Job.Operation
    output: Format
    accepted_at: int
    in_background: bool

    @property
    def age(self) -> float:
        return time.time() - self.accepted_at

    @property
    def status(self) -> Job.Status:
        if not self.in_background or self.age >= DONE_AFTER:
            return Job.Status.DONE
        return Job.Status.RUNNING if self.age >= RUNS_AFTER else Job.Status.QUEUED


def new(order: Order, *, in_background: bool) -> ActedJob:
    """A job for this order, accepted now. A compression keeps the format, and the picture is a PNG."""
    letter = "C" if order.output else "Z"
    output = order.output or PNG
    form = next(name for name, known in _FORMATS.items() if known == output)
    now = int(time.time())
    by_chance = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    name = f"{MARK}{letter if in_background else letter.lower()}{form}{_digits(now)}{by_chance}"
    return ActedJob(name, _OPERATIONS[letter], output, now, in_background)


def found(job_id: str) -> JobState:
    """What a rehearsal key is told of a job. Raises `ApiError` `not_found`, of real ones as well."""
    return state_of(_read(job_id))


def cancelled(job_id: str) -> JobState:
    """As if it ended now; nobody remembers. Raises `ApiError` as for a real one."""
    job = _read(job_id)
    if job.status == Job.Status.DONE:
        raise too_late(job.status)
    state = state_of(job)
    return state.model_copy(
        update={"status": Job.Status.CANCELLED, "place": None, "ended_at": datetime.now(UTC)}
    )


def state_of(
    job: ActedJob, *, bytes: int | None = None, batch: str | None = None, place: int = 1
) -> JobState:
    """As of any job. `bytes` is how much was sent, while that is known: later it is the sample's own size."""
    status, sample = job.status, sample_of(job.output)
    is_done = status == Job.Status.DONE
    ended_at = job.accepted_at + (DONE_AFTER if job.in_background else 0)
    address = None
    if is_done and job.age < LIFE.total_seconds():
        address = downloads.signed(sample.token, ended_at + int(LIFE.total_seconds()))
    sent = len(sample_of(PNG).content) if bytes is None else bytes
    return JobState(
        id=job.id,
        operation=job.operation,
        batch=batch,
        status=status,
        progress={Job.Status.DONE: 100, Job.Status.RUNNING: 50}.get(status, 0),
        place=place if status == Job.Status.QUEUED else None,
        created_at=datetime.fromtimestamp(job.accepted_at, UTC),
        ended_at=datetime.fromtimestamp(ended_at, UTC) if is_done else None,
        error=None,
        download_url=address.url if address else None,
        expires_at=address.expires_at if address else None,
        input=Picture(format=PNG.name, width=WIDTH, height=HEIGHT, bytes=sent) if is_done else None,
        output=Picture(format=job.output.name, width=WIDTH, height=HEIGHT, bytes=len(sample.content))
        if is_done
        else None,
    )


def _read(job_id: str) -> ActedJob:
    if not (is_id(job_id) and job_id.startswith(MARK)):
        raise no_such_job()
    letter, form, digits = job_id[len(MARK)], job_id[len(MARK) + 1], job_id[len(MARK) + 2 : -_RANDOM]
    operation, output = _OPERATIONS.get(letter.upper()), _FORMATS.get(form)
    accepted_at, now = _number(digits), time.time()
    if operation is None or output is None or not now - KEPT_FOR.total_seconds() < accepted_at <= now + 1:
        raise no_such_job()
    return ActedJob(job_id, operation, output, accepted_at, letter.isupper())


def _digits(number: int) -> str:
    digits = ""
    for _ in range(_TIME_DIGITS):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


def _number(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number * len(_ALPHABET) + _ALPHABET.index(digit)
    return number
