"""The process from which boxes are forked: decoders loaded, no picture ever opened, no secret in it.

Started by `images.pictures.box` as `python -m images.pictures.template FD`, FD being a socket whose other end
only its owner has. A byte on it brings four descriptors: the line to who waits for the box, its news, source
and target. When the owner hangs up a line, that box is killed; when it hangs up the socket, or dies, all are.
"""

import gc
import os
import selectors
import signal
import socket
import struct
import sys
import traceback
from contextlib import suppress

from images.pictures import child
from images.pictures.limits import most_memory

MOST_FILES = 256  # of ours: one for each box, and a dozen
_END = struct.Struct("qq")  # exit status, negative for a signal; the most memory, in bytes


def serve(control: socket.socket) -> None:
    """Fork a box whenever one is asked for, and tell of its end, until `control` is hung up."""
    boxes: dict[int, socket.socket] = {}
    wake, waker = os.pipe()
    for end in (wake, waker):
        os.set_blocking(end, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which lets its jobs end
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is control:
                    asked, handed, _, _ = socket.recv_fds(control, 1, 4)
                    if not asked:
                        for pid in boxes:
                            os.kill(pid, signal.SIGKILL)
                        return
                    pid = _fork(handed)
                    boxes[pid] = socket.socket(fileno=handed[0])
                    selector.register(boxes[pid], selectors.EVENT_READ, pid)
                elif key.fileobj == wake:
                    os.read(wake, 4096)
                    _reap(boxes, selector)
                elif key.data in boxes:  # nothing is ever said on a line but goodbye
                    os.kill(key.data, signal.SIGKILL)
                    selector.unregister(key.fileobj)


def _reap(boxes: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    while boxes:
        pid, status, used = os.wait4(-1, os.WNOHANG)
        if not pid:
            return
        with boxes.pop(pid) as line:
            if line in selector.get_map():
                selector.unregister(line)
            with suppress(OSError):  # nobody waits any more
                line.send(_END.pack(os.waitstatus_to_exitcode(status), most_memory(used)))


def _fork(handed: list[int]) -> int:
    """The new box's process id. It keeps three of the descriptors, and the line is the template's."""
    owner = os.getpid()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            _keep_only(handed[1:])
            child.run(*handed[1:], parent=owner)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    for descriptor in handed[1:]:
        os.close(descriptor)
    return pid


def _keep_only(descriptors: list[int]) -> None:
    """Close all others above standard error: another box's, and the socket to our owner."""
    first = 3
    for descriptor in sorted(descriptors):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, MOST_FILES)


def main() -> None:
    child.limit_files(MOST_FILES)
    gc.freeze()  # what a collection touches, a fork would copy
    with socket.socket(fileno=int(sys.argv[1])) as control:
        serve(control)


if __name__ == "__main__":
    main()
