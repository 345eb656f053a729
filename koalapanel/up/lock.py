"""One `up` per VAR_DIR, ever: two Valkeys on one data directory would ruin it."""

import fcntl
import os
from pathlib import Path


class AlreadyRunning(Exception):
    """Another `up` holds the lock; the text is what it wrote about itself."""


def take(var_dir: Path, about: str) -> int:
    """Hold `VAR_DIR/up.lock` until the file descriptor returned is closed everywhere; leave `about` in it.

    The lock belongs to the open file, so a process that inherits the descriptor keeps it as well: the
    watcher does, and a new `up` has to wait until the old one's children are gone.
    """
    descriptor = os.open(var_dir / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 200).decode(errors="replace").strip()
        os.close(descriptor)
        raise AlreadyRunning(holder) from None
    os.truncate(descriptor, 0)
    os.write(descriptor, about.encode())
    return descriptor
