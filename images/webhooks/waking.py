"""Wakes a worker when an event is owed; without it, beat does within seconds."""

import logging

from celery import current_app
from kombu import pools
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

# The task goes by its name: who calls for it loads nothing of what it does.
SEND_WEBHOOKS = "images.send_webhooks"
# Seconds until beat comes by: waking a worker later than that is no use.
BEAT = 5
# In seconds, as in `images.queue.waking`.
_BRIEFLY = {"max_retries": 0, "socket_connect_timeout": 0.5, "socket_timeout": 0.5}


def wake() -> None:
    """Have a worker send now what is due, if the broker can be reached; call after the commit."""
    broker = current_app.connection_for_write(transport_options=_BRIEFLY)
    try:
        with pools.producers[broker].acquire(block=True) as producer:
            current_app.send_task(SEND_WEBHOOKS, producer=producer, retry=False, expires=BEAT)
    except (OperationalError, RedisError) as error:
        log.warning("No worker can be told of webhooks: %s", error)
