"""Leaves connections that the database may have closed, outside of Django's handling of requests.

Django looks at them at the beginning of each request, with a query of their own (`CONN_HEALTH_CHECKS`).
"""

import math
import threading
import time

from django.db import close_old_connections, connections

# A connection that was fit so shortly ago is taken to be: the look costs a third of what it is for.
TRUSTED_SECONDS = 1.0

_thread = threading.local()


def leave_old_connections() -> None:
    """As Django, but at most once a second in a thread, unless one of its connections has failed."""
    now = time.monotonic()
    has_looked = now - getattr(_thread, "looked_at", -math.inf) < TRUSTED_SECONDS
    if has_looked and not any(one.errors_occurred for one in connections.all(initialized_only=True)):
        return
    _thread.looked_at = now
    close_old_connections()
