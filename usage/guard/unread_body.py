"""What is left of a request's body once its answer is made: read and forgotten, so that the answer arrives.

A server that answers without reading the body closes the connection while the client still writes; many
clients then see a broken pipe instead of the answer.
"""

import threading
import time
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings

MOST_BYTES = 512 * 1024 * 1024
MOST_SECONDS = 20.0
CHUNK_BYTES = 64 * 1024

_NOTHING = (None, "", "0")

# A read waits for as long as its client likes, so only some of the server's threads do this at a time. When
# none of them is free a body stays unread: its client may miss the answer, and nobody else has to wait.
_places = threading.BoundedSemaphore(max(1, settings.ENV.WEB_THREADS // 4))


def discard(environ: Mapping[str, Any]) -> None:
    """Read what is left of a WSGI request's body, in constant memory, up to a bound on bytes and time.

    Not where the client waits for our word first (`Expect: 100-continue`): it sends nothing after a refusal.
    Nor where the server doesn't end `wsgi.input` with the body (Django's own `runserver`).
    """
    if environ.get("CONTENT_LENGTH") in _NOTHING and "HTTP_TRANSFER_ENCODING" not in environ:
        return
    if not environ.get("wsgi.input_terminated") or environ.get("HTTP_EXPECT", "").lower() == "100-continue":
        return
    if not _places.acquire(blocking=False):
        return
    try:
        body: IO[bytes] = environ["wsgi.input"]
        left, deadline = MOST_BYTES, time.monotonic() + MOST_SECONDS
        while left > 0 and time.monotonic() < deadline and (chunk := body.read(CHUNK_BYTES)):
            left -= len(chunk)
    except OSError:
        pass  # how some servers say that the client has gone
    finally:
        _places.release()
