"""What happens in a box: take the limits, convert, tell how it went."""

import ctypes
import json
import os
import resource
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import Any

from images.formats import output_named
from images.orders import Order, Unconvertible
from images.pictures.converting import convert
from images.pictures.limits import TOO_MUCH_MEMORY, Limits, most_memory

NICENESS = 10  # pages and requests come first
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_KILLED_AFTER = 5  # seconds beyond the limit that the caller keeps: for when it can't any more
_MOST_TRACEBACK = 8_000

TOO_LARGE_A_RESULT = "The result would be larger than a job may make it."

# Loaded by the template: a box can't open files.
_libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def run(news: int, source: int, target: int, *, parent: int) -> None:
    """Read the order from `news`, carry it out, and say there what came of it."""
    end_with(parent)
    with (
        socket.socket(fileno=news) as line,
        os.fdopen(source, "rb") as reading,
        os.fdopen(target, "r+b") as writing,
    ):
        asked = _asked(line)
        limits = Limits(**asked["limits"])
        take(limits)

        def say(**said: object) -> None:
            line.sendall(json.dumps(said).encode() + b"\n")

        try:
            order = Order(**{**asked["order"], "output": output_named(asked["order"]["output"] or "")})
            outcome = convert(
                reading,
                writing,
                order,
                max_pixels=limits.max_pixels,
                tell=lambda percent: say(progress=percent),
            )
            writing.flush()
        except Unconvertible as error:
            say(unconvertible=[error.code, error.detail, error.field])
        except MemoryError:
            say(unconvertible=["image_too_large", TOO_MUCH_MEMORY, "file"])
        except Exception:
            # Few encoders have words of their own for what they lack.
            if os.fstat(target).st_size >= limits.file_bytes:
                say(unconvertible=["image_too_large", TOO_LARGE_A_RESULT, "file"])
            elif limits.are_near(most_memory(resource.getrusage(resource.RUSAGE_SELF))):
                say(unconvertible=["image_too_large", TOO_MUCH_MEMORY, "file"])
            else:
                say(odd=traceback.format_exc()[-_MOST_TRACEBACK:])
        else:
            facts = (outcome.input, outcome.output)
            say(outcome=[[fact.format.name, fact.width, fact.height, fact.bytes] for fact in facts])


def _asked(line: socket.socket) -> dict[str, Any]:
    text = b""
    while not text.endswith(b"\n"):
        more = line.recv(65_536)
        if not more:
            raise EOFError("nobody told what to do")
        text += more
    asked: dict[str, Any] = json.loads(text)
    return asked


def end_with(parent: int) -> None:
    """Die when the template does; and never gain rights by running another program. On Linux alone."""
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:  # it died before that
        os._exit(1)


def take(limits: Limits) -> None:
    """Bind this process to its limits; there is no way back."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.alarm(limits.seconds + _KILLED_AFTER)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where memory runs out, this goes before the worker
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # decoders complain to standard error, as often as a picture likes
        os.dup2(nothing, standard)
    os.close(nothing)
    os.nice(NICENESS)
    _limit(resource.RLIMIT_CORE, 0)
    # The hard limit kills without saying of what.
    _limit(resource.RLIMIT_CPU, limits.cpu_seconds, hard=limits.cpu_seconds + _KILLED_AFTER)
    _limit(resource.RLIMIT_FSIZE, limits.file_bytes)
    _limit(resource.RLIMIT_AS, limits.memory_bytes)
    limit_files(0)  # what is open stays open; nothing else can be, no socket either


def limit_files(most: int) -> None:
    _limit(resource.RLIMIT_NOFILE, most)


def _limit(kind: int, most: int, hard: int | None = None) -> None:
    """Never more than there was: an administrator may have set less."""
    _, given = resource.getrlimit(kind)
    if given == resource.RLIM_INFINITY:
        given = sys.maxsize
    resource.setrlimit(kind, (min(most, given), min(hard if hard is not None else most, given)))
