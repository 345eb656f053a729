"""What the worker does for this app."""

from celery import Task, shared_task

from images import attempts, cleaning, queue, worker_process  # noqa: F401  (its signal bounds each process)


@shared_task(
    name=queue.CONVERT, bind=True, soft_time_limit=attempts.SOFT_LIMIT, time_limit=attempts.HARD_LIMIT
)
def convert_image(self: Task, job_id: str) -> None:
    delivery = self.request.delivery_info or {}
    attempts.run(job_id, redelivered=bool(delivery.get("redelivered")))


@shared_task
def fail_lost_jobs() -> None:
    cleaning.fail_lost_jobs()


@shared_task
def remove_what_is_over() -> None:
    cleaning.remove_what_is_over()
