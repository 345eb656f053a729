"""How the worker tells `up` that it takes jobs."""

import os

from supervisor.events import ProcessCommunicationEvent

READY = b"ready"


def announce_worker_ready(**signal: object) -> None:
    """A receiver of Celery's `worker_ready`: a note to the process manager, in its own wire format.

    Nothing is written for a worker that no process manager started.
    """
    if os.environ.get("SUPERVISOR_ENABLED"):
        event = ProcessCommunicationEvent
        os.write(1, event.BEGIN_TOKEN + READY + event.END_TOKEN)
