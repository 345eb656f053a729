"""One thread's connection to the limit store.

redis-py makes the connection (addresses, TLS, AUTH, SELECT); what is said over it is ours: a prebuilt command
out, a flat reply in. That is all the limiter needs, and takes half the processor time of redis-py's own call
(docs/decisions/0002). Nothing is retried here: the caller knows what may be.
"""

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, cast

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

# A command's words as bytes for the wire. (Its stub takes tuples of one word only.)
pack = cast(Callable[[tuple[str | bytes, ...]], bytes], hiredis.pack_command)

_SKIP_REPLY = pack(("CLIENT", "REPLY", "SKIP"))
_LARGEST_READ = 65536
# After so long without a word, look whether the other end has hung up before speaking (a store that was
# restarted). Under load nobody pays for the look.
_IDLE_SECONDS = 1.0


class LimitStoreDown(Exception):
    """The limit store could not be asked, or did not answer in time or in sense."""


class NotAsked(LimitStoreDown):
    """Not one whole command has left: the store has charged nothing for it, and won't."""


class Link:
    """A connection that is made when first used, and made anew after any failure. Not for sharing."""

    def __init__(self, url: str, timeout: float) -> None:
        """`timeout` in seconds bounds connecting, each send and each receive."""
        pool = redis.ConnectionPool.from_url(
            url,
            protocol=2,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            driver_info=None,  # it would be told in two round trips of its own
        )
        self._connection: Any = pool.make_connection()
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._reader = hiredis.Reader()
        self._spoke_at = 0.0

    def ask(self, command: bytes, last_words: Callable[[], bytes] | None = None) -> Any:
        """Send one command and return its reply; an error reply is returned as `hiredis.ReplyError`.

        Raises `NotAsked`, or `LimitStoreDown` after less than twice the timeout if no reply comes or it makes
        no sense. Then the store may still have run the command, or will when it wakes up: `last_words` makes
        the command that is sent after it, for the store to run right behind.
        """
        link = self._send(command)
        try:
            return self._hear(link)
        except (OSError, ValueError, MemoryError, hiredis.HiredisError) as error:
            if last_words is not None:
                self._say_last(last_words(), has_hung_up=isinstance(error, ConnectionError))
            self.close()
            raise LimitStoreDown(str(error) or type(error).__name__) from error

    def tell(self, command: bytes) -> None:
        """Send one command whose reply the store leaves out: costs one send and no waiting.

        Whether it was heard, nobody tells. Raises `NotAsked`.
        """
        self._send(_SKIP_REPLY + command)

    def _send(self, words: bytes) -> socket.socket:
        try:
            link = self._open()
            link.sendall(words)  # should it fail half-way: half a command is never run
        except (OSError, redis.RedisError) as error:
            self.close()
            raise NotAsked(str(error) or type(error).__name__) from error
        return link

    def _hear(self, link: socket.socket) -> Any:
        while True:
            data = link.recv(_LARGEST_READ)
            if not data:
                raise ConnectionResetError("the limit store hung up")
            self._reader.feed(data)
            reply = self._reader.gets()
            if reply is not False:
                if self._reader.has_data():
                    # It would be taken for the answer to the next question.
                    raise hiredis.ProtocolError("the limit store says more than it was asked")
                return reply
            if time.monotonic() - self._spoke_at > self._timeout:  # each receive alone was in time
                raise TimeoutError("the limit store takes too long to say it all")

    def _say_last(self, command: bytes, *, has_hung_up: bool) -> None:
        """Over the same connection, where the order is certain; over another if that is gone."""
        if self._socket is not None and not has_hung_up:
            with contextlib.suppress(OSError):
                self._socket.sendall(_SKIP_REPLY + command)
                return
        self.close()
        with contextlib.suppress(LimitStoreDown):
            self.tell(command)

    def close(self) -> None:
        if self._socket is not None:
            self._socket = None
            self._reader = hiredis.Reader()
        with contextlib.suppress(OSError, redis.RedisError):
            self._connection.disconnect()

    def _open(self) -> socket.socket:
        now = time.monotonic()
        link = self._socket
        if link is not None and now - self._spoke_at > _IDLE_SECONDS and self._has_hung_up(link):
            self.close()
            link = None
        self._spoke_at = now
        if link is None:
            self._connection.connect()
            link = self._socket = self._connection._sock
            _let_the_kernel_time_out(link, self._timeout)
        return link

    def _has_hung_up(self, link: socket.socket) -> bool:
        link.setblocking(False)
        try:
            # Either the end of the stream, or words nobody asked for: in both cases start anew.
            link.recv(1)
        except (BlockingIOError, InterruptedError):
            _let_the_kernel_time_out(link, self._timeout)
            return False
        except OSError:
            pass
        return True


def _let_the_kernel_time_out(link: socket.socket, timeout: float) -> None:
    """Bound a plain socket's calls by SO_RCVTIMEO/SO_SNDTIMEO: Python's own timeout polls before each call,
    which doubles the system calls and the hand-overs of the interpreter lock. TLS keeps Python's."""
    if type(link) is not socket.socket:
        link.settimeout(timeout)
        return
    span = struct.pack("ll", int(timeout), int(timeout % 1 * 1_000_000))
    link.settimeout(None)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, span)
