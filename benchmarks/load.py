"""The load: keep-alive connections that each send the same request again as soon as the last is answered.

Runs as a process of its own: `python -m benchmarks.load` reads an `Order` as JSON from stdin and prints a
`Spell`. Raw sockets and one look at the head of each answer, because an HTTP client library in Python would
be slower than the server it measures. `Spell.cpu_seconds` tells how much of a core the load took.
"""

import json
import re
import selectors
import socket
import sys
import time
from dataclasses import asdict, dataclass

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
LAST_CHUNK = b"\r\n0\r\n\r\n"
STATUS = slice(9, 12)  # of b"HTTP/1.1 200 OK"
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Order:
    port: int
    request: str
    connections: int
    seconds: float


@dataclass(frozen=True)
class Spell:
    """What came back: answers by status, over how many seconds, for how much CPU of the load itself."""

    statuses: dict[str, int]
    seconds: float
    cpu_seconds: float

    @property
    def answers(self) -> int:
        return sum(self.statuses.values())

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds

    @property
    def cpu_share(self) -> float:
        """Of one core."""
        return self.cpu_seconds / self.seconds


def drive(order: Order) -> Spell:
    """Raises `ConnectionError` if the server hangs up or stops answering."""
    request = order.request.encode()
    opened = [socket.create_connection(("127.0.0.1", order.port)) for _ in range(order.connections)]
    started, cpu_before = time.perf_counter(), time.process_time()
    try:
        counts = _exchange(opened, request, until=started + order.seconds)
    finally:
        for connection in opened:
            connection.close()
    return Spell(
        {status.decode(): count for status, count in counts.items()},
        time.perf_counter() - started,
        time.process_time() - cpu_before,
    )


def _exchange(opened: list[socket.socket], request: bytes, until: float) -> dict[bytes, int]:
    """Answers by status. Each connection sends until then, and what was sent is waited for."""
    counts: dict[bytes, int] = {}
    partial: dict[socket.socket, bytes] = {}
    with selectors.DefaultSelector() as selector:
        for connection in opened:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ)
            connection.send(request)
        in_flight = len(opened)
        while in_flight:
            ready = selector.select(PATIENCE_SECONDS)
            if not ready:
                raise ConnectionError(f"no answer within {PATIENCE_SECONDS:.0f} s")
            goes_on = time.perf_counter() < until
            for key, _ in ready:
                connection: socket.socket = key.fileobj  # type: ignore[no-redef]
                received = connection.recv(65536)
                if not received:
                    raise ConnectionError("the server hung up")
                if partial:
                    received = partial.pop(connection, b"") + received
                if not _is_whole(received):
                    partial[connection] = received
                    continue
                status = received[STATUS]
                counts[status] = counts.get(status, 0) + 1
                if goes_on:
                    connection.send(request)
                else:
                    in_flight -= 1
    return counts


def _is_whole(received: bytes) -> bool:
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return False
    length = LENGTH.search(received, 0, head + 2)
    if length is None:
        return received.endswith(LAST_CHUNK)
    return len(received) >= head + 4 + int(length[1])


if __name__ == "__main__":
    try:
        print(json.dumps(asdict(drive(Order(**json.load(sys.stdin))))))
    except ConnectionError as error:
        sys.exit(f"load: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
