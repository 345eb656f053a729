"""What the web process does with a job: it submits it, and tells its client how it ended."""

import logging

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from images.models import Job
from images.orders import Order
from images.queue import enqueue
from usage.limits.refusals import ApiError
from usage.subjects import Subject

log = logging.getLogger(__name__)

RETRY_AFTER = 5  # seconds


def submit(subject: Subject, upload: UploadedFile[bytes], order: Order) -> Job:
    """Keep the upload, book the job and hand it to the workers.

    Raises `ApiError` `limits_unavailable` when the queue is down; then neither row nor file stays behind.
    """
    job = Job(
        owner_id=subject.account_id,
        subject_id=subject.id,
        output_format=order.output.name,
        quality=order.quality,
        width=order.width,
        height=order.height,
        input_bytes=upload.size or 0,
    )
    job.source.save("", upload, save=False)
    try:
        # Durable: the row must be there for the worker, however fast it is.
        with transaction.atomic(durable=True):
            job.save(force_insert=True)
        enqueue(job.pk)
    except BaseException as error:
        if not Job.objects.filter(pk=job.pk).delete()[0]:
            job.source.delete(save=False)
        if isinstance(error, OperationalError | RedisError):
            log.error("Cannot enqueue a job: %s", error)
            raise ApiError(
                "limits_unavailable",
                f"Jobs can't be accepted right now. Retry after {RETRY_AFTER} seconds.",
                headers={"Retry-After": str(RETRY_AFTER)},
            ) from None
        raise
    return job


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
    )
