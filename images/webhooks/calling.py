"""One POST to an address that a customer chose: to public addresses alone, and never for long.

`requests_hardened` looks the host up once and connects to the address it got, so that a name can't lead
elsewhere between the check and the connection. What it lets through that isn't public is refused here.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Self

import requests
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from images.webhooks.addresses import may_be_called

# Seconds: for the connection, for each piece of the answer, and for all of it from the connection on. Before
# that the name is looked up, for as long as the machine's resolver tries.
CONNECT_SECONDS = 5
READ_SECONDS = 10
ALL_SECONDS = 15
USER_AGENT = "KoalaPanel-Webhooks/1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call: the status that was answered, or in `error` why there was none."""

    milliseconds: int
    status_code: int | None = None
    error: str = ""
    retry_after: str | None = None

    @property
    def is_success(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300


def call(url: str, body: str, headers: Mapping[str, str]) -> Answer:
    """POST the body. Of the answer nothing is read but its head; raises nothing."""
    began = time.monotonic()
    with _Deadline(ALL_SECONDS) as deadline:
        try:
            status_code, retry_after = _post(url, body, headers)
        except Exception as error:
            # Whatever an address and its server can bring about is that address's failure.
            answer = Answer(_since(began), error=_why(error))
        else:
            answer = Answer(_since(began), status_code, retry_after=retry_after)
        if deadline.is_over:  # a head that was cut off by us may look whole
            answer = Answer(_since(began), error=f"No answer within {ALL_SECONDS} s.")
    return answer


def _post(url: str, body: str, headers: Mapping[str, str]) -> tuple[int, str | None]:
    with _Session() as session:
        response = session.post(url, data=body.encode(), headers=dict(headers), stream=True)
        with contextlib.closing(response):
            return response.status_code, response.headers.get("Retry-After")


class _Session(HTTPSession):  # type: ignore[misc]  # it has no types
    """One call's: it shares no connection or cookie with another's, and nothing of the environment."""

    def __init__(self) -> None:
        super().__init__(
            Config(
                ip_filter_enable=True,
                ip_filter_allow_loopback_ips=True,  # ours to decide, in `_PublicAlone`
                never_redirect=True,
                default_timeout=(CONNECT_SECONDS, READ_SECONDS),
            )
        )
        self.trust_env = False  # no proxy, no password from ~/.netrc
        self.headers.clear()
        self.headers.update(
            {
                "User-Agent": USER_AGENT,
                "Content-Type": "application/json",
                "Accept": "*/*",
                "Accept-Encoding": "identity",
                "Connection": "close",
            }
        )
        self.mount("http://", _PublicAlone(is_https_proto=False))
        self.mount("https://", _PublicAlone(is_https_proto=True))

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Nowhere. Asked for one, requests would read the whole body, however long, to tell what is next."""
        return None


class _PublicAlone(IPFilterAdapter):  # type: ignore[misc]
    """Connects to the address that was looked up, if that may be called."""

    def __init__(self, *, is_https_proto: bool) -> None:
        super().__init__(is_https_proto=is_https_proto, allow_loopback=True)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:
        host, pool = super().build_connection_pool_key_attributes(*args, **kwargs)
        # By now it is an address, and the one that is connected to.
        if not may_be_called(ip_address(host["host"].strip("[]"))):
            raise InvalidIPAddress(host["host"])
        return host, pool


class _Deadline:
    """Ends this thread's connection when its time is over, whatever it is busy with.

    Timeouts of sockets bound one read each, and a server may answer byte by byte.
    """

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def watch(self, connection: socket.socket) -> None:
        """From its first byte on: TLS makes another object of it, but the connection is the same."""
        with self._lock:
            self._socket = connection.dup()
        if self.is_over:
            self._end()

    def _end(self) -> None:
        self.is_over = True
        with self._lock, contextlib.suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._token = _deadline.set(self)
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        _deadline.reset(self._token)
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None


_deadline: ContextVar[_Deadline] = ContextVar("deadline")


class _HTTP(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        _deadline.get().watch(connection)
        return connection


class _HTTPS(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        _deadline.get().watch(connection)
        return connection


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPS


def _why(error: Exception) -> str:
    """In words for who owns the address; what our own network looks like is not told."""
    if isinstance(error, InvalidIPAddress):
        return "The host's address is not a public one."
    if isinstance(error, requests.exceptions.SSLError):
        return f"TLS failed: {_reason(error)}"
    if isinstance(error, requests.ConnectTimeout):
        return f"No connection within {CONNECT_SECONDS} s."
    if isinstance(error, requests.ReadTimeout):
        return f"No answer within {READ_SECONDS} s."
    if isinstance(error, requests.ConnectionError) and "resolve" in str(error):
        return "The host's name can't be resolved."
    if isinstance(error, requests.ConnectionError | HTTPError | OSError):
        return f"The connection failed: {_reason(error)}"
    return f"It can't be called: {type(error).__name__}"


def _reason(error: BaseException) -> str:
    """The innermost, which says most: others repeat it with their own names around it."""
    while (inner := _within(error)) is not None:
        error = inner
    text = getattr(error, "verify_message", "") or getattr(error, "strerror", None) or str(error)
    return "".join(c if c.isprintable() else " " for c in text)[:120]


def _within(error: BaseException) -> BaseException | None:
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return reason
    first = error.args[0] if error.args else None
    return first if isinstance(first, BaseException) else error.__cause__


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
