"""Wakes the worker when mail is owed that somebody waits for; without it, beat does within seconds."""

import time

from celery import current_app
from kombu import pools
from kombu.exceptions import OperationalError

# The task goes by its name: who calls for it loads nothing of what it does.
SEND_MAIL = "usage.send_mail"
# Seconds until beat comes by: waking the worker later than that is no use.
BEAT = 5

# In seconds, as in `images.queue.waking`: a request waits while we call.
_BRIEFLY = {"max_retries": 0, "socket_connect_timeout": 0.5, "socket_timeout": 0.5}

_away_until = 0.0


def wake_worker() -> None:
    """Have the worker send now what is owed, if the queue can be reached.

    A queue that is away is asked once in `BEAT` seconds by each process: no request waits for it twice.
    """
    global _away_until
    if time.monotonic() < _away_until:
        return
    try:
        queue = current_app.connection_for_write(transport_options=_BRIEFLY)
        with pools.producers[queue].acquire(block=True) as producer:
            current_app.send_task(SEND_MAIL, producer=producer, retry=False, expires=BEAT)
    except OperationalError:
        _away_until = time.monotonic() + BEAT
