"""Where the web server listens: a port that is free, and the URL that leads there."""

import errno
import socket


class AddressTaken(Exception):
    """Nothing can listen there; the text says why."""


def free_port(host: str, port: int) -> int:
    """`port` itself, or any free one for 0; raises `AddressTaken`.

    The port is let go again, for the web server to take: somebody quicker may still get it, in which case
    the web server says so and ends.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise AddressTaken(f"Can't listen on {host!r}: {error.strerror}.") from None
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise AddressTaken(f"Port {port} of {host} is taken: choose another with --port.") from None
            raise AddressTaken(f"Can't listen on port {port} of {host}: {error.strerror}.") from None
        free: int = probe.getsockname()[1]
    return free


def reachable(host: str) -> str:
    """The host to connect to for a server that listens on `host`, as a URL spells it."""
    name = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (not bound here)
    return f"[{name}]" if ":" in name else name
