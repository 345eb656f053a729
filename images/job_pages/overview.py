"""What the page about jobs shows: an account's slots, the jobs that wait for one, those of some status."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice
from urllib.parse import urlencode

from django.db.models import QuerySet

from accounts.models import ApiKey, User
from images.models import AccountQueue, Download, Job
from images.models.account_queue import account_queue_id
from images.models.job import MOST_PLACES
from usage.standing import NEAR
from usage.subjects import key_id_of

SLOTS_SHOWN = 12  # free ones beyond are told as a number
RUNNING_SHOWN = 50  # no more workers than that are expected; the rest would be a long page
NEXT_SHOWN = 5  # of the jobs that wait, where the list is of others
LISTED = 15

ENDED = ""
LISTS = {
    ENDED: "All results",
    Job.Status.DONE.value: "Done",
    Job.Status.FAILED.value: "Failed",
    Job.Status.CANCELLED.value: "Cancelled",
    Job.Status.QUEUED.value: "Waiting",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Part:
    """Which jobs are listed: those of one status, or all that have ended; from the first, or from the one
    behind a job that was accepted at `past`. So it costs the same however far back it is."""

    status: str = ENDED
    past: datetime | None = None

    @property
    def is_of_waiting(self) -> bool:
        return self.status == Job.Status.QUEUED

    @property
    def query(self) -> str:
        """As in the page's address; nothing of the part that it begins with."""
        past = None if self.past is None else (self.past - _EPOCH) // _MICROSECOND
        return urlencode({name: text for name, text in (("status", self.status), ("past", past)) if text})


def part_asked_for(asked: Mapping[str, str]) -> Part:
    """What the page's address says; the beginning where it makes no sense."""
    status, past = asked.get("status", ENDED), asked.get("past", "")
    is_moment = past.isascii() and past.isdecimal() and len(past) <= 16
    return Part(
        status if status in LISTS else ENDED, _EPOCH + int(past) * _MICROSECOND if is_moment else None
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """A job in words. `place` is among those that wait; `download` is there as long as its row."""

    job: Job
    key: str
    place: int | None = None
    download: Download | None = None

    @property
    def title(self) -> str:
        """`PNG → WEBP`, or what is asked for as long as nobody has looked at the picture."""
        source, result = self.job.input_format.upper(), self.job.output_format.upper()
        if self.job.operation == Job.Operation.COMPRESS:
            return f"Compress {result or source}".strip()
        return f"{source} → {result}" if source else f"Convert to {result}"

    @property
    def change(self) -> str:
        """`64 % smaller`: what the result's size is to the picture's."""
        before, after = self.job.input_bytes, self.job.output_bytes
        if not before or after is None:
            return ""
        if before == after:
            return "same size"
        # Cut, not rounded: a result that is still there is not "100 % smaller".
        percent = abs(before - after) * 100 // before
        return f"{percent or 'under 1'}\u00a0% {'smaller' if after < before else 'larger'}"


@dataclass(frozen=True, slots=True)
class Queue:
    """How many jobs run and wait, against the account's limits; `None` is no limit, or no key to have one.

    The limits are those of the account's most generous key; `differ`: not all of its keys may run as many.
    """

    running: int
    queued: int
    parallel: int | None
    most_queued: int | None
    differ: bool

    @property
    def free(self) -> int:
        return 0 if self.parallel is None else max(0, self.parallel - self.running)

    @property
    def is_busy(self) -> bool:
        return self.running + self.queued > 0

    @property
    def level(self) -> str:
        """Of the queue, as of a quota: `ok`, `near` or `full`."""
        if self.most_queued is None:
            return "ok"
        if self.queued >= self.most_queued:
            return "full"
        return "near" if self.queued * 100 >= self.most_queued * NEAR else "ok"


@dataclass(frozen=True, slots=True)
class Overview:
    """The page at one moment. `free` are the slots drawn as free, `more_free` is how many are not drawn.

    `next` are the first of the jobs that wait, unless they are what `listed` has; `older` is the part behind
    it, if there is one.
    """

    queue: Queue
    running: list[Entry]
    free: range
    more_free: int
    next: list[Entry]
    listed: list[Entry]
    older: Part | None
    has_keys: bool

    @property
    def is_empty(self) -> bool:
        return not (self.running or self.queue.is_busy or self.listed)


def overview_of(owner: User, part: Part) -> Overview:
    """At most eight queries, none of which reads more than a page of jobs."""
    jobs = Job.objects.filter(owner=owner)
    running = list(jobs.filter(status=Job.Status.RUNNING).order_by("created_at")[:RUNNING_SHOWN])
    waiting = jobs.filter(status=Job.Status.QUEUED).order_by("created_at")
    if part.is_of_waiting:
        upcoming: list[Job] = []
        first_place = 1
        if part.past is not None:
            first_place += waiting.filter(created_at__lte=part.past)[:MOST_PLACES].count()
            waiting = waiting.filter(created_at__gt=part.past)
        listed = list(waiting[: LISTED + 1])
    else:
        first_place = 1
        upcoming = list(waiting[:NEXT_SHOWN])
        listed = _ended(owner, part)
    is_cut = len(listed) > LISTED
    listed = listed[:LISTED]
    keys = list(_keys(owner))
    queue = _queue(owner, [key for key in keys if not key.is_rehearsal], len(running))
    name = _names(owner, keys, (*running, *upcoming, *listed))
    free = min(queue.free, max(0, SLOTS_SHOWN - len(running)))
    return Overview(
        queue=queue,
        running=[Entry(job, name(job)) for job in running],
        free=range(free),
        more_free=queue.free - free,
        next=[Entry(job, name(job), place) for place, job in enumerate(upcoming, 1)],
        listed=[
            Entry(job, name(job), first_place + index if part.is_of_waiting else None, _download(job))
            for index, job in enumerate(listed)
        ],
        older=Part(part.status, listed[-1].created_at) if is_cut else None,
        has_keys=any(not key.is_rehearsal for key in keys),
    )


def _ended(owner: User, part: Part) -> list[Job]:
    """The newest first, one more than are listed. A query for each status reads no job that isn't wanted."""
    found = []
    for status in Job.ENDED if part.status == ENDED else (part.status,):
        jobs = Job.objects.filter(owner=owner, status=status).select_related("download")
        if part.past is not None:
            jobs = jobs.filter(created_at__lt=part.past)
        found.append(list(jobs.order_by("-created_at")[: LISTED + 1]))
    newest = merge(*found, key=lambda job: job.created_at, reverse=True)
    return list(islice(newest, LISTED + 1))


def _keys(owner: User) -> QuerySet[ApiKey]:
    """Those that aren't revoked: no more than an account may have."""
    return ApiKey.objects.owned_by(owner).exclude(status=ApiKey.Status.REVOKED).select_related("tier")


def _queue(owner: User, keys: Iterable[ApiKey], running: int) -> Queue:
    """The account's, by the limits of the keys that send jobs into it."""
    counted = AccountQueue.objects.filter(pk=account_queue_id(owner.pk)).first() or AccountQueue()
    limits = [key.limits for key in keys]
    parallel, most_queued = {one.parallel for one in limits}, {one.queued for one in limits}
    return Queue(
        running=running,
        queued=counted.queued,
        parallel=_most(parallel),
        most_queued=_most(most_queued),
        differ=len(parallel) > 1,
    )


def _most(limits: set[int | None]) -> int | None:
    numbers = [limit for limit in limits if limit is not None]
    return None if None in limits or not numbers else max(numbers)


def _names(owner: User, keys: Iterable[ApiKey], jobs: Iterable[Job]) -> Callable[[Job], str]:
    """What the key is called that sent a job; nothing where that is gone. A query if one is revoked."""
    names = {key.pk: key.name for key in keys}
    senders = (key_id_of(job.subject_id) for job in jobs)
    others = {key_id for key_id in senders if key_id is not None and key_id not in names}
    if others:
        names |= dict(ApiKey.objects.owned_by(owner).filter(pk__in=others).values_list("pk", "name"))
    return lambda job: names.get(key_id_of(job.subject_id) or 0, "")


def _download(job: Job) -> Download | None:
    """As it was read with a job that has ended."""
    return getattr(job, "download", None) if job.has_ended else None
