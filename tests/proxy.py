"""A TCP proxy in front of a real server that goes wrong in the way a test asks for."""

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

Wrong = Callable[[socket.socket, bytes], None]


class Silence(Exception):
    """From here on nothing gets through in this direction."""


class HungUp(Exception):
    """Both ends are told that the other has gone."""


class Proxy:
    """Passes everything on, until `request` or `reply` is set to one of the functions below.

    They get the socket the words are to go to, and the words as they came from the other side.
    """

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url).path
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listener]
        self.request: Wrong = pass_on
        self.reply: Wrong = pass_on
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                self._open += [client, server]
                for source, target, way in ((client, server, "request"), (server, client, "reply")):
                    threading.Thread(target=self._pump, args=(source, target, way), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, way: str) -> None:
        is_silent = False
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile
            while True:
                # Not by a long wait in recv(), which would keep a socket open that was closed meanwhile.
                if not select.select([source], [], [], 0.01)[0]:
                    continue
                try:
                    if not (words := source.recv(65536)):
                        break
                    if not is_silent:
                        getattr(self, way)(target, words)
                except Silence:
                    is_silent = True
                except HungUp:
                    _shut(source, socket.SHUT_RDWR)
                    _shut(target, socket.SHUT_RDWR)
                    return
                except OSError:
                    break
        # What is still under way in the other direction goes on.
        _shut(target, socket.SHUT_WR)

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *error: object) -> None:
        for one in self._open:
            _shut(one, socket.SHUT_RDWR)
            one.close()


def _shut(one: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(how)


def pass_on(target: socket.socket, words: bytes) -> None:
    target.sendall(words)


def drop(target: socket.socket, words: bytes) -> None:
    """As a network does that has gone silent: whatever comes after it is lost as well."""
    raise Silence


def hang_up(target: socket.socket, words: bytes) -> None:
    raise HungUp


def reset(target: socket.socket, words: bytes) -> None:
    target.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    target.close()
    raise HungUp


def break_off(target: socket.socket, words: bytes) -> None:
    """Hang up in the middle of it."""
    target.sendall(words[: len(words) // 2])
    raise HungUp


def delay(seconds: float) -> Wrong:
    def late(target: socket.socket, words: bytes) -> None:
        time.sleep(seconds)
        target.sendall(words)

    return late


def trickle(target: socket.socket, words: bytes) -> None:
    """A byte at a time, each of them soon enough."""
    for place in range(len(words)):
        target.sendall(words[place : place + 1])
        time.sleep(0.02)


def say(garbage: bytes) -> Wrong:
    return lambda target, words: target.sendall(garbage)


def twice(target: socket.socket, words: bytes) -> None:
    target.sendall(words + words)


def once_in(number: int, wrong: Wrong) -> Wrong:
    """Every so many times, counted over all connections."""
    lock, counted = threading.Lock(), [0]

    def now_and_then(target: socket.socket, words: bytes) -> None:
        with lock:
            counted[0] += 1
            go_wrong = counted[0] % number == 0
        (wrong if go_wrong else pass_on)(target, words)

    return now_and_then
