"""Mail servers for the tests: one that keeps what it gets, and others that are out of order."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from xml.etree import ElementTree

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class MailServer:
    """A real SMTP server on loopback. It takes everything, but for what `answers` says otherwise.

    `received` is in order; `connections` are those that said EHLO. `answers` is by recipient, as in
    `"550 no such user"`; `""` is the answer to every message, whoever it is for.
    """

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.connections = 0
        self.answers: dict[str, str] = {}
        self.port = free_port()
        self._controller: Controller | None = None

    def start(self) -> None:
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()
        self.connections = 0  # not counting the controller's own, which looks whether it listens

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if "" in self.answers:
            return self.answers[""]
        self.received.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    @property
    def recipients(self) -> list[str]:
        return sorted(message["To"] for message in self.received)


def text_of(email: EmailMessage) -> str:
    return _part_of(email, "plain")


def html_of(email: EmailMessage) -> str:
    return _part_of(email, "html")


def words_in(html: str) -> str:
    """What somebody reads who is shown it."""
    body = ElementTree.fromstring(html).find("{*}body")
    assert body is not None
    return "".join(_texts(body))


def _texts(element: ElementTree.Element) -> Iterator[str]:
    is_block = element.tag.rpartition("}")[2] in {"td", "th", "p", "h1", "blockquote", "br"}
    yield "\n" if is_block else ""
    yield element.text or ""
    for child in element:
        yield from _texts(child)
        yield child.tail or ""


def _part_of(email: EmailMessage, kind: str) -> str:
    """Mail programs show the last part that they can: the text comes first."""
    assert email.get_content_type() == "multipart/alternative"
    parts = {part.get_content_subtype(): part.get_content() for part in email.iter_parts()}
    assert list(parts) == ["plain", "html"]
    return str(parts[kind]).replace("\r\n", "\n")


@contextmanager
def broken_server(behaviour: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on loopback that does with each connection as told, and then hangs up; gives its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            behaviour(self.request)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
