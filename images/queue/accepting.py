"""What the web process does with a job: it takes it into its account's queue, or refuses it."""

from collections.abc import Sequence
from datetime import timedelta

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.utils import timezone

from images.models import AccountQueue, Job, WebhookEndpoint
from images.models.account_queue import queue_id_of
from images.orders import Order
from images.queue import waking
from images.queue.pool import pool
from usage.limits.refusals import ApiError
from usage.subjects import Subject

RETRY_AFTER = 5  # seconds; a place may be free at any moment


def accept(
    subject: Subject,
    uploads: Sequence[UploadedFile[bytes]],
    order: Order,
    *,
    webhook: WebhookEndpoint | None = None,
    batch: str = "",
) -> list[Job]:
    """Keep the uploads, book a job for each in their order, and wake the workers.

    All of them or none: raises `ApiError` `queue.limit_exceeded` or `queue.pool_saturated`, and then neither
    row nor file stays behind.
    """
    check_room(subject, len(uploads))
    queue_id, now = queue_id_of(subject), timezone.now()
    jobs = [
        Job(
            owner_id=subject.account_id,
            subject_id=subject.id,
            queue_id=queue_id,
            batch=batch,
            operation=Job.Operation.CONVERT if order.output else Job.Operation.COMPRESS,
            output_format=order.output.name if order.output else "",
            quality=order.quality,
            width=order.width,
            height=order.height,
            target_bytes=order.target_bytes,
            webhook=webhook,
            input_bytes=upload.size or 0,
            created_at=now + timedelta(microseconds=place),
        )
        for place, upload in enumerate(uploads)
    ]
    try:
        for job, upload in zip(jobs, uploads, strict=True):
            job.source.save("", upload, save=False)
        # Durable: the rows must be there for the workers, however fast they are.
        with transaction.atomic(durable=True):
            queue = AccountQueue.objects.locked_or_made(queue_id)
            _refuse_if_full(queue.queued, len(jobs), subject.limits.queued)
            Job.objects.bulk_create(jobs)
            queue.move(entered=Job.Status.QUEUED, jobs=len(jobs))
    except BaseException as error:
        for job in jobs:
            if job.source:
                job.source.delete(save=False)
        if isinstance(error, IntegrityError):
            # Its account or its webhook was deleted since the guard looked. Asked again, it looks again.
            raise ApiError(
                "limits_unavailable",
                f"This can't be accepted right now. Try again in {RETRY_AFTER} s.",
                headers={"Retry-After": str(RETRY_AFTER)},
            ) from None
        raise
    pool.add(len(jobs))
    waking.wake(len(jobs))
    return jobs


def check_room(subject: Subject, jobs: int) -> None:
    """Raise `ApiError` if so many jobs more are too many as it looks now: before anything is kept of them."""
    queue = AccountQueue.objects.filter(pk=queue_id_of(subject)).first()
    _refuse_if_full(queue.queued if queue else 0, jobs, subject.limits.queued)
    if not pool.has_room_for(jobs):
        raise pool_saturated()


def _refuse_if_full(queued: int, more: int, limit: int | None) -> None:
    if limit is not None and queued + more > limit:
        raise queue_full()


def queue_full() -> ApiError:
    return ApiError(
        "queue.limit_exceeded",
        "Too many queued jobs. Wait for existing jobs to complete.",
        headers={"Retry-After": str(RETRY_AFTER)},
    )


def pool_saturated() -> ApiError:
    return ApiError(
        "queue.pool_saturated",
        "Worker pool is at capacity. Try again shortly.",
        headers={"Retry-After": str(RETRY_AFTER)},
    )


def error_of(job: Job) -> ApiError:
    """A failed job's error, for a client that waited for it."""
    at_fault = job.error_code not in ("limits_unavailable", "queue.pool_saturated")
    return ApiError(
        job.error_code,
        job.error_detail,
        field=job.error_field or None,
        # The request was sound; it is the image in it that can't be processed.
        status=422 if job.error_code == "invalid_request" else None,
        headers={} if at_fault else {"Retry-After": str(RETRY_AFTER)},
        # As a job that nobody waited for: workers had their work with it, whatever it was.
        stays_charged=True,
    )
