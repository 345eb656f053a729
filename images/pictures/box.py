"""The box: strangers' files are decoded in a process that has nothing to lose.

Each conversion gets a child process with limits on memory, processor, time and the size of what it writes.
The child knows neither settings nor database, and can't open a file. It is forked from a template that has
the decoders loaded (`images.pictures.template`), which costs milliseconds. Every process that converts starts
a template of its own at its first job, which ends with that process, however that ends. No Pillow on this
side.

What comes from a box is believed as little as the picture: it is parsed and bounded.
"""

import atexit
import io
import json
import os
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from typing import IO, Any

from images.formats import INPUTS, OUTPUTS, Format
from images.orders import Facts, Order, Outcome, Unconvertible
from images.pictures.limits import TOO_MUCH_MEMORY, Limits

BEAT_SECONDS = 1.0  # how often a caller is asked whether its job goes on
_MOST_NEWS_BYTES = 65_536  # said by one box in all
# As a job's row keeps them.
_MOST_DETAIL = 300
_MOST_FIELD = 20
_PATIENCE_SECONDS = 5.0  # with a child that was killed: the kernel may have its hands full of its memory
_END = struct.Struct("qq")  # exit status, negative for a signal; the most memory, in bytes
# What decoders and encoders die of when they get no memory, and don't look.
_FAULTS = (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS)
_FORMATS = {form.name: form for form in (*INPUTS, *OUTPUTS)}
_CODES = {"invalid_request", "unsupported_format", "image_too_large"}


class Stopped(Exception):
    """The caller said that its job doesn't go on; the box is gone."""


class Killed(Exception):
    """The box died, by the picture or by the machine's lack of memory. `number` is its signal; 0 for an exit
    without a word."""

    def __init__(self, number: int) -> None:
        # Not all have a name: a box may send itself whichever it likes.
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        super().__init__(name if number else "ended without a word")
        self.number = number


class Odd(Exception):
    """Decoder or encoder failed in a way we don't know; the text is the traceback from the box."""


class BoxUnavailable(OSError):
    """No box could be had: our fault."""


def convert(
    source: IO[bytes],
    target: IO[bytes],
    order: Order,
    *,
    limits: Limits,
    going_on: Callable[[int], bool] = lambda progress: True,
) -> Outcome:
    """Write the picture in `source` to `target`, which is an empty real file, as ordered.

    `going_on` is called each `BEAT_SECONDS` with the progress in percent; when it says `False`, or raises,
    the box is killed. When this function returns or raises, the box is gone.

    Raises `Unconvertible` where picture or order are at fault, which includes wanting more than the limits;
    `Stopped`, `Killed`, `Odd`, `BoxUnavailable`.
    """
    with ExitStack() as stack:
        file = _real(source, stack)
        line, their_line = socket.socketpair()
        news, their_news = socket.socketpair()
        for end in (line, their_line, news, their_news):
            stack.enter_context(end)
        news.sendall(json.dumps({"order": _packed(order), "limits": asdict(limits)}).encode() + b"\n")
        _template.fork(their_line, their_news, file.fileno(), target.fileno())
        their_line.close()
        their_news.close()
        outcome = _Following(line, news, limits, going_on).until_the_end()
        size = target.seek(0, io.SEEK_END)
    return replace(outcome, output=replace(outcome.output, bytes=size))


def begin() -> None:
    """Start this process's template now instead of at its first job. Returns at once."""
    _template.begin()


def end() -> None:
    """End this process's template; jobs in their boxes are killed. The next job starts another."""
    _template.end()


def _real(source: IO[bytes], stack: ExitStack) -> IO[bytes]:
    """The source as a file that another process can read, from its start."""
    try:
        descriptor = source.fileno()
    except (OSError, AttributeError):
        copy: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  (closed by the stack)
        source.seek(0)
        shutil.copyfileobj(source, copy)
        descriptor, source = copy.fileno(), copy
    source.flush()
    os.lseek(descriptor, 0, os.SEEK_SET)
    return source


def _packed(order: Order) -> dict[str, object]:
    return {**asdict(order), "output": order.output.name if order.output else None}


class _Following:
    """One box as its caller sees it: `line` tells how it ended, `news` is what it says itself."""

    def __init__(
        self, line: socket.socket, news: socket.socket, limits: Limits, going_on: Callable[[int], bool]
    ) -> None:
        self._line, self._news, self._limits, self._going_on = line, news, limits, going_on
        self._heard = b""
        self._progress = 0
        self._last: dict[str, Any] = {}

    def until_the_end(self) -> Outcome:
        try:
            status, memory = self._watch()
        finally:
            self._see_it_gone()
        self._listen(all_of_it=True)
        return self._ending(status, memory)

    def _watch(self) -> tuple[int, int]:
        """Its exit status, as `subprocess` has it, and the most memory it had."""
        started = time.monotonic()
        deadline, beat = started + self._limits.seconds, started + BEAT_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(self._line, selectors.EVENT_READ)
            selector.register(self._news, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select(min(beat, deadline) - time.monotonic())}
                if self._news in ready and not self._listen():
                    selector.unregister(self._news)
                if self._line in ready:
                    return self._told_end()
                now = time.monotonic()
                if now >= deadline:
                    raise self._too_slow()
                if now >= beat:
                    beat = now + BEAT_SECONDS
                    if not self._going_on(self._progress):
                        raise Stopped

    def _told_end(self) -> tuple[int, int]:
        told = self._line.recv(_END.size)
        if len(told) != _END.size:  # the template is gone, and took the box with it
            return -signal.SIGKILL, 0
        status, memory = _END.unpack(told)
        return status, memory

    def _see_it_gone(self) -> None:
        """Hang up, which has the template kill what still runs, and wait until it says that it is gone."""
        self._line.shutdown(socket.SHUT_WR)
        self._line.settimeout(_PATIENCE_SECONDS)
        with suppress(OSError):
            while self._line.recv(_END.size):
                pass

    def _listen(self, *, all_of_it: bool = False) -> bool:
        """Take in what the box has said; `False` when there can't be more."""
        self._news.setblocking(False)
        while True:
            try:
                said = self._news.recv(4096)
            except BlockingIOError:
                return True
            except OSError:
                return False
            self._heard += said
            if not said or len(self._heard) > _MOST_NEWS_BYTES:
                return False
            *lines, self._heard = self._heard.split(b"\n")
            for text in lines:
                self._understand(text)
            if not all_of_it:
                return True

    def _understand(self, text: bytes) -> None:
        try:
            said = json.loads(text)
        except ValueError:
            return
        if not isinstance(said, dict):
            return
        self._last = said
        progress = said.get("progress")
        if isinstance(progress, int):
            self._progress = max(self._progress, min(progress, 99))

    def _ending(self, status: int, memory: int) -> Outcome:
        """What the box has made, or the exception for why it has not."""
        said = self._last
        if status == -signal.SIGXCPU or status == -signal.SIGALRM:
            raise self._too_slow()
        if status in _FAULTS and self._limits.are_near(memory):
            raise Unconvertible("image_too_large", TOO_MUCH_MEMORY)
        if status != 0:
            raise Killed(max(0, -status))
        try:
            if "outcome" in said:
                return Outcome(*(_facts(*facts) for facts in said["outcome"]))
            if "unconvertible" in said:
                code, detail, field = said["unconvertible"]
                if code in _CODES:
                    raise Unconvertible(code, _text(detail, _MOST_DETAIL), _text(field, _MOST_FIELD))
            if "odd" in said:
                raise Odd(str(said["odd"]))
        except (TypeError, ValueError, KeyError):
            pass
        raise Killed(0)

    def _too_slow(self) -> Unconvertible:
        return Unconvertible(
            "image_too_large", f"This image takes longer than {self._limits.seconds} seconds to process."
        )


def _text(said: object, most: int) -> str:
    """Nothing that a database refuses, such as a NUL, or that isn't to be read."""
    return "".join(letter for letter in str(said) if letter.isprintable())[:most]


def _facts(format: str, width: int, height: int, bytes: int) -> Facts:
    found: Format = _FORMATS[format]
    if not all(isinstance(number, int) and 0 < number < 2**31 for number in (width, height, bytes)):
        raise ValueError("no numbers of a picture")
    return Facts(found, width, height, bytes)


class _Template:
    """This process's own: the process from which its boxes are forked. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def fork(self, line: socket.socket, news: socket.socket, source: int, target: int) -> None:
        """Have a box made that reads from `source` and writes to `target`."""
        handed = [line.fileno(), news.fileno(), source, target]
        with self._lock:
            for last_try in (False, True):
                control = self._control or self._start()
                try:
                    socket.send_fds(control, [b"+"], handed)
                    return
                except OSError as error:  # it has died since
                    self._end()
                    if last_try:
                        raise BoxUnavailable("The template can't be reached.") from error

    def begin(self) -> None:
        with self._lock:
            if self._control is None:
                self._start()

    def end(self) -> None:
        with self._lock:
            self._end()

    def forget(self) -> None:
        """In a process that was forked: the template is its parent's. Ours will be another."""
        if self._control is not None:
            self._control.close()
        self.__init__()  # type: ignore[misc]

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(  # noqa: S603  (our own module)
                    [sys.executable, "-P", "-m", "images.pictures.template", str(theirs.fileno())],
                    env=_bare_environment(),
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
            except OSError as error:
                ours.close()
                raise BoxUnavailable("The template can't be started.") from error
        self._control = ours
        return ours

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            try:
                self._process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._control = self._process = None


def _bare_environment() -> dict[str, str]:
    """None of our secrets: only where the modules are, and how memory is taken."""
    paths = os.pathsep.join(os.path.abspath(path) for path in sys.path)
    # By default each thread gets a pool of its own, of 64 MB of address space; and a picture's memory, new to
    # its process, comes in pages of 4 kB, which costs a small picture as much as the fork.
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    memory = {"MALLOC_ARENA_MAX": "2", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    return {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", **memory, **kept}


_template = _Template()
os.register_at_fork(after_in_child=_template.forget)
atexit.register(end)
