"""Handing jobs to the workers. The task goes by its name: who enqueues it loads nothing of what it does."""

from celery import current_app
from kombu import pools

CONVERT = "images.tasks.convert_image"

# In seconds. A client waits while we enqueue, so the queue is asked once and briefly. With Celery's own
# patience, which the workers keep, a broker that is away takes 6 s, and one that is silent takes for ever.
_BRIEFLY = {"max_retries": 0, "socket_connect_timeout": 0.5, "socket_timeout": 0.5}


def enqueue(job_id: str, attempt: int = 0) -> None:
    """Hand a job to the workers, for the attempt that follows `attempt` earlier ones.

    Raises `kombu.exceptions.OperationalError` when the queue is down.
    """
    # Pooled by address and options, so that these connections are ours alone.
    queue = current_app.connection_for_write(transport_options=_BRIEFLY)
    with pools.producers[queue].acquire(block=True) as producer:
        current_app.send_task(CONVERT, (job_id, attempt), producer=producer, retry=False)
