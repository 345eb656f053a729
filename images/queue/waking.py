"""Waking the workers. What is to be done stands in SQL: a message says only that there may be something.

The task goes by its name: who sends it loads nothing of what it does.
"""

import logging

from celery import current_app
from kombu import pools
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

WORK = "images.tasks.work"
# A queue and workers of its own: what the panel does each few seconds never waits behind pictures.
QUEUE = "images"

# In seconds. A client waits while we send, so the broker is asked once and briefly. With Celery's own
# patience, which the workers keep, a broker that is away takes 6 s, and one that is silent takes for ever.
_BRIEFLY = {"max_retries": 0, "socket_connect_timeout": 0.5, "socket_timeout": 0.5}


def wake(times: int = 1) -> bool:
    """Tell the workers that so many jobs may be taken; call after the commit.

    One that hears it goes on until there is nothing left for it, so a message too many costs a look. `False`
    when the broker is away. Nothing is lost by that: beat has jobs found that wait (`recovering`).
    """
    # Pooled by address and options, so that these connections are ours alone.
    broker = current_app.connection_for_write(transport_options=_BRIEFLY)
    try:
        with pools.producers[broker].acquire(block=True) as producer:
            for _ in range(times):
                current_app.send_task(WORK, queue=QUEUE, producer=producer, retry=False)
    except (OperationalError, RedisError) as error:
        log.error("The workers can't be told that there are jobs: %s", error)
        return False
    return True


def underway() -> int:
    """How many messages no worker has read yet. Raises what a broker that is away makes it raise."""
    with current_app.connection_for_read() as broker:
        # Not passively: kombu looks for the queue without the prefix that it has in our store.
        declared = current_app.amqp.queues[QUEUE](broker.default_channel).queue_declare()
    return int(declared.message_count)
