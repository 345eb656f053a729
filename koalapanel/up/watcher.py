"""Outlives `up` by a moment: should `up` be killed, its children go, too.

Run as a file by a bare interpreter, so it imports nothing of ours. Its standard input is a pipe that only
`up` and children about to start write to: `+PID` for a process group begun, `-PID` for one that ended. The
end of the pipe means that `up` is gone, however that came about; whatever group is left is told to stop,
then killed. It costs one small process; a child's PR_SET_PDEATHSIG would not reach grandchildren, and is
Linux's alone.
"""

import os
import signal
import sys
import time

PATIENCE = 1.5  # seconds between asking and killing


def main() -> int:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    unfinished = b""
    while chunk := os.read(0, 4096):
        *lines, unfinished = (unfinished + chunk).split(b"\n")
        for line in lines:
            (groups.add if line.startswith(b"+") else groups.discard)(int(line[1:]))
    groups = tell(groups, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while groups and time.monotonic() < deadline:
        time.sleep(0.05)
        groups = tell(groups, 0)
    tell(groups, signal.SIGKILL)
    return 0


def tell(groups: set[int], number: int) -> set[int]:
    """Send a signal to each process group; those that still exist."""
    left = set()
    for group in groups:
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            continue
        left.add(group)
    return left


if __name__ == "__main__":
    sys.exit(main())
