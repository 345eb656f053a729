"""What the worker does for this app."""

from celery import Task, shared_task

from images import cleaning, jobs, worker_process  # noqa: F401  (its signal bounds each process)


@shared_task(bind=True, soft_time_limit=jobs.SOFT_LIMIT, time_limit=jobs.HARD_LIMIT)
def convert_image(self: Task, job_id: str) -> None:
    delivery = self.request.delivery_info or {}
    jobs.run(job_id, redelivered=bool(delivery.get("redelivered")))


@shared_task
def fail_lost_jobs() -> None:
    cleaning.fail_lost_jobs()


@shared_task
def remove_what_is_over() -> None:
    cleaning.remove_what_is_over()


def enqueue(job_id: str) -> None:
    """Hand a job to the workers; raises `kombu.exceptions.OperationalError` when the queue is down."""
    convert_image.apply_async((job_id,), retry=False)
