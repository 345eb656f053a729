"""Is this process asked to end? Threads in the background have something to bring before it does.

A server gives its requests a moment to end and then kills the process, so its own end, with `atexit` and the
like, may never come; granian's workers are forked and know no `atexit` at all. The signal comes in any case.
Python's handler for it belongs to the server, but the interpreter also tells a descriptor of every signal.
"""

import os
import select
import signal
import socket
import threading
import time

_ENDINGS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}

_ears: tuple[int, socket.socket] | None = None  # of which process, and where the interpreter tells it


def listen() -> None:
    """Be told of signals from here on. For the main thread, and where nobody else listens."""
    global _ears
    if threading.current_thread() is not threading.main_thread():
        return
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    if before != -1:  # gunicorn's workers, asyncio's loops
        signal.set_wakeup_fd(before)
        ours.close()
        theirs.close()
        return
    theirs.detach()  # open as long as the process
    _ears = os.getpid(), ours


def wait(seconds: float) -> bool:
    """Sleep, for one thread; gives whether the process was asked to end, then at once."""
    ears = _ears
    if ears is None or ears[0] != os.getpid():
        time.sleep(seconds)
        return False
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([ears[1]], [], [], left)[0] and _ENDINGS & set(ears[1].recv(64)):
            return True
    return False
