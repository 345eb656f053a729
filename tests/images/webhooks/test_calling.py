"""Calls to addresses that somebody else chose: where they go, and how long they take at most."""

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from images.webhooks import calling
from images.webhooks.calling import Answer, call
from tests.images.webhooks.receiver import Receiver, receiving
from tests.images.webhooks.test_endpoints import PRIVATE

PUBLIC = "93.184.215.14"
NOT_PUBLIC = "The host's address is not a public one."


@pytest.fixture
def connections(monkeypatch) -> list[str]:
    """Every address that is connected to. None but this machine's own is reached."""
    tried: list[str] = []
    connect = socket.socket.connect

    def recording(self: socket.socket, address: tuple) -> None:
        tried.append(address[0])
        if not ipaddress.ip_address(address[0]).is_loopback:
            raise ConnectionRefusedError("no way out of a test")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", recording)
    return tried


@pytest.fixture
def resolves(monkeypatch) -> Callable[..., list[str]]:
    """Has every name lead to these answers, one after the other; gives the names that were asked for."""
    really = socket.getaddrinfo

    def answer_with(*answers: str | list[str]) -> list[str]:
        asked: list[str] = []

        def resolver(host: str, port: int, *args: object, **kwargs: object) -> list:
            with contextlib.suppress(ValueError):
                ipaddress.ip_address(host.partition("%")[0])
                return really(host, port, *args, **kwargs)
            answer = answers[min(len(asked), len(answers) - 1)]
            asked.append(host)
            return [
                found
                for address in ([answer] if isinstance(answer, str) else answer)
                for found in really(address, port, type=socket.SOCK_STREAM)
            ]

        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        return asked

    return answer_with


def post(url: str) -> Answer:
    return call(url, "{}", {"webhook-id": "msg_1"})


MAPPED = "::ffff:8.8.8.8"  # the connection is to 8.8.8.8, which is public


@pytest.mark.parametrize("address", [address for address in PRIVATE if address != MAPPED])
def test_a_name_that_leads_to_no_public_address_is_not_called(resolves, connections, address):
    resolves(address)
    for scheme in ("http", "https"):
        answer = post(f"{scheme}://hooks.example.com/")
        assert (answer.status_code, answer.error) == (None, NOT_PUBLIC)
        assert address not in answer.error
    assert connections == []


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::ffff:127.0.0.1]", "localhost"]
)
def test_no_way_to_write_this_machine_s_address_gets_through(connections, host):
    """They are refused when they are given; here, should one have come by otherwise."""
    with receiving() as receiver:
        assert post(f"http://{host}:{receiver.port}/").status_code is None
    assert (receiver.received, connections) == ([], [])


def test_a_name_that_changes_after_the_check_is_called_where_it_was_checked(resolves, connections):
    """DNS rebinding: public when it is checked, this machine a moment later."""
    with receiving() as receiver:
        asked = resolves(PUBLIC, "127.0.0.1")
        answer = post(f"http://hooks.example.com:{receiver.port}/")
    assert asked == ["hooks.example.com"]
    assert connections == [PUBLIC]
    assert (answer.status_code, receiver.received) == (None, [])


def test_each_attempt_is_checked_anew(resolves, connections):
    with receiving() as receiver:
        resolves(PUBLIC, "127.0.0.1")
        for _ in range(2):
            answer = post(f"http://hooks.example.com:{receiver.port}/")
    assert answer.error == NOT_PUBLIC
    assert (connections, receiver.received) == ([PUBLIC], [])


def test_a_name_with_several_addresses_leads_to_the_one_that_was_checked_alone(resolves, connections):
    with receiving() as receiver:
        resolves([PUBLIC, "127.0.0.1"])
        post(f"http://hooks.example.com:{receiver.port}/")
    assert (connections, receiver.received) == ([PUBLIC], [])


def test_the_receiver_sees_the_name_that_it_was_called_by(resolves, receiver):
    resolves("127.0.0.1")
    assert post(f"http://hooks.example.com:{receiver.port}/a?b=c").status_code == 200
    (received,) = receiver.received
    assert (received.headers["host"], received.path) == (f"hooks.example.com:{receiver.port}", "/a?b=c")


def test_nothing_of_the_environment_is_used(receiver, monkeypatch, tmp_path, settings):
    with receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login us password secret")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        assert post(receiver.url).status_code == 200
        assert proxy.received == []
    assert "authorization" not in receiver.received[0].headers


def test_a_cookie_is_not_sent_back(receiver):
    receiver.headers = {"Set-Cookie": "a=b"}
    for _ in range(2):
        post(receiver.url)
    assert "cookie" not in receiver.received[1].headers


def test_a_name_that_nobody_knows_is_told(monkeypatch, settings):
    def nobody_knows(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody_knows)
    assert post("https://nowhere.example.com/").error == "The host's name can't be resolved."


class Endless:
    """Answers with a head, then with more of its body than anybody would read."""

    def __init__(self, *head: bytes) -> None:
        self.head, self.sent, self.has_ended = head, 0, threading.Event()

    def __call__(self, handler) -> None:
        handler.connection.settimeout(10)
        try:
            handler.wfile.write(b"\r\n".join([*self.head, b"Content-Length: 99999999999", b"", b""]))
            while True:
                handler.wfile.write(bytes(100_000))
                self.sent += 100_000
        except OSError:
            handler.close_connection = True
        finally:
            self.has_ended.set()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ([b"HTTP/1.1 200 OK"], 200),
        # To see what comes next, requests would read it.
        ([b"HTTP/1.1 302 Found", b"Location: /next"], 302),
        ([b"HTTP/1.1 200 OK", b"Content-Encoding: gzip"], 200),
    ],
    ids=["an answer", "a redirect", "compressed"],
)
def test_of_a_huge_answer_nothing_is_read_but_its_head(receiver, head, status):
    receiver.answer = endless = Endless(*head)
    assert post(receiver.url).status_code == status
    assert endless.has_ended.wait(10)
    assert endless.sent < 20_000_000  # what the sockets' buffers take, on both ends
    assert len(receiver.received) == 1


def drip(pieces: Iterator[bytes]) -> Callable:
    def answer(handler) -> None:
        handler.close_connection = True
        with contextlib.suppress(OSError):
            for piece in pieces:
                handler.wfile.write(piece)
                time.sleep(0.05)

    return answer


@pytest.mark.parametrize(
    "pieces",
    [
        lambda: iter([b"HTTP/1.1 200 OK\r\n", *[b"x"] * 200]),
        lambda: (b"HTTP/1.1 100 Continue\r\n\r\n" for _ in range(200)),
        lambda: (b"H" for _ in range(200)),
    ],
    ids=["in a header", "in one hundred continues", "in the first line"],
)
def test_a_server_that_answers_byte_by_byte_is_left_when_the_time_is_over(receiver, monkeypatch, pieces):
    monkeypatch.setattr(calling, "ALL_SECONDS", 0.5)
    receiver.answer = drip(pieces())
    began = time.monotonic()
    answer = post(receiver.url)
    assert 0.4 < time.monotonic() - began < 3
    assert (answer.status_code, answer.error) == (None, "No answer within 0.5 s.")
    assert 400 < answer.milliseconds < 3000


def test_a_tls_handshake_that_never_ends_is_left_when_the_time_is_over(settings, monkeypatch):
    settings.WEBHOOK_ALLOW_LOOPBACK = True
    monkeypatch.setattr(calling, "ALL_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        answer = post(f"https://127.0.0.1:{silent.getsockname()[1]}/")
        assert time.monotonic() - began < 3
    assert answer.error == "No answer within 0.5 s."


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\xff" * 100,
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500,
        b"\r\n" * 9,
    ],
    ids=["nothing", "noise", "no status", "too many headers", "empty lines"],
)
def test_an_answer_that_is_no_http_is_told(receiver, answer):
    def garbled(handler) -> None:
        handler.close_connection = True
        handler.wfile.write(answer)

    receiver.answer = garbled
    told = post(receiver.url)
    assert told.status_code is None
    assert told.error.startswith("The connection failed: ")
    assert len(told.error) <= 200
    assert told.error.isprintable()


@contextlib.contextmanager
def with_tls(receiver: Receiver, folder: Path, host: str) -> Iterator[Path]:
    """The receiver with a certificate for `host` that it signed itself; gives the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    context.sni_callback = lambda connection, name, _: receiver.headers.update({"x-sni": name or ""})
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    yield folder / "certificate.pem"


def test_a_certificate_that_nobody_vouches_for_is_refused(receiver, resolves, tmp_path):
    resolves("127.0.0.1")
    with with_tls(receiver, tmp_path, "hooks.example.com"):
        answer = post(f"https://hooks.example.com:{receiver.port}/")
    assert (answer.status_code, receiver.received) == (None, [])
    assert answer.error.startswith("TLS failed: self-signed certificate")


def test_a_certificate_must_be_the_host_s(receiver, resolves, tmp_path, monkeypatch):
    resolves("127.0.0.1")
    with with_tls(receiver, tmp_path, "hooks.example.com") as certificate:
        post_trusting = calling._Session.__init__

        def trusting(self) -> None:
            post_trusting(self)
            self.verify = str(certificate)

        monkeypatch.setattr(calling._Session, "__init__", trusting)
        answer = post(f"https://other.example.com:{receiver.port}/")
        assert answer.error.startswith("TLS failed: hostname 'other.example.com' doesn't match")
        assert receiver.received == []
        # The address is pinned, and the name is still what the certificate is held against.
        assert post(f"https://hooks.example.com:{receiver.port}/").status_code == 200
        assert receiver.headers["x-sni"] == "hooks.example.com"
