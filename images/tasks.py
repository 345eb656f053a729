"""What the worker does for this app."""

from typing import Any

from celery import Task, shared_task
from celery.exceptions import TimeLimitExceeded
from celery.signals import task_failure
from django.db import close_old_connections

from images import attempts, cleaning, queue, worker_process  # noqa: F401  (its signal bounds each process)


@shared_task(
    name=queue.CONVERT, bind=True, soft_time_limit=attempts.SOFT_LIMIT, time_limit=attempts.HARD_LIMIT
)
def convert_image(self: Task, job_id: str, attempt: int = 0) -> None:
    delivery = self.request.delivery_info or {}
    attempts.run(job_id, attempt, redelivered=bool(delivery.get("redelivered")))


@task_failure.connect
def book_the_hard_limit(sender: Task, exception: Exception, args: list[Any], **kwargs: object) -> None:
    """In the worker's main process: Celery killed the one that converted, and acknowledged the message."""
    if sender.name == queue.CONVERT and isinstance(exception, TimeLimitExceeded):
        # Celery's Django part looks after connections in the other processes alone.
        close_old_connections()
        attempts.ran_into_the_limit(*args)
        close_old_connections()


@shared_task
def recover_lost_jobs() -> None:
    cleaning.recover_lost_jobs()


@shared_task
def remove_what_is_over() -> None:
    cleaning.remove_what_is_over()
