"""Handing jobs to the workers. The task goes by its name: who enqueues it loads nothing of what it does."""

from celery import current_app

CONVERT = "images.tasks.convert_image"


def enqueue(job_id: str) -> None:
    """Hand a job to the workers; raises `kombu.exceptions.OperationalError` when the queue is down."""
    current_app.send_task(CONVERT, (job_id,), retry=False)
