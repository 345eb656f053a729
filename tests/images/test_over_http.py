"""Uploads that are too large, over real HTTP: an answer with a body, never a reset, never a hang."""

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from io import BytesIO

import psutil
import pytest
import requests
from django.conf import settings

from tests import databases

MEGABYTE = 1_000_000
BIG = 200 * MEGABYTE
THREADS = 8
MULTIPART = {"Content-Type": "multipart/form-data; boundary=x"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def granian(valkey_server, django_db_setup):
    """The product's own web server on the tests' database and store; its port and process."""
    port = free_port()
    environment = os.environ | databases.of_the_tests()
    environment |= {"DJANGO_SETTINGS_MODULE": "koalapanel.settings", "WEB_THREADS": str(THREADS)}
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--no-log"]
    command += ["--port", str(port), "--blocking-threads", str(THREADS), "koalapanel.wsgi:application"]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                requests.get(f"http://127.0.0.1:{port}/api/v1/conversions", timeout=5)
                break
            except requests.ConnectionError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield port, process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):  # while it starts, it may not hear
            process.wait(5)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def url(granian, transactional_db, store):
    store.delete(*(store.keys("kp1:*") or ["-"]))
    return f"http://127.0.0.1:{granian[0]}"


def assert_too_large(status, body):
    assert status == 413, body
    assert body["code"] == "image_too_large"
    assert body["field"] == "file"


class Zeros(BytesIO):
    """`size` bytes of nothing that take no memory."""

    def __init__(self, size):
        super().__init__()
        self.left = size

    def __len__(self):
        return self.left

    def read(self, size=-1):
        size = self.left if size < 0 else min(size, self.left)
        self.left -= size
        return bytes(size)


def test_200_megabytes_by_requests(url):
    for path, field in (("/api/v1/convert", "output_format"), ("/convert", "targetFormat")):
        with requests.Session() as session:
            answer = session.post(
                url + path, files={"file": ("big.png", bytes(BIG))}, data={field: "webp"}, timeout=60
            )
            assert answer.status_code == 413
            assert "image_too_large" in answer.text
            # The connection is still good for another request.
            assert session.get(url + "/api/v1/conversions", timeout=10).status_code == 200


def test_200_megabytes_by_a_client_that_writes_all_before_it_reads(url):
    client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    client.request("POST", "/api/v1/convert", Zeros(BIG), {**MULTIPART, "Content-Length": str(BIG)})
    answer = client.getresponse()
    assert_too_large(answer.status, json.loads(answer.read()))
    client.close()


def test_a_client_that_asks_first_sends_nothing(url):
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as client:
        head = f"POST /api/v1/convert HTTP/1.1\r\nHost: {host}\r\nContent-Length: {BIG}\r\n"
        client.sendall(
            (head + "Content-Type: multipart/form-data; boundary=x\r\nExpect: 100-continue\r\n\r\n").encode()
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_body_in_chunks_is_told_to_come_with_its_length(url):
    chunks = (bytes(65536) for _ in range(BIG // 65536))
    answer = requests.post(url + "/api/v1/convert", data=chunks, headers=MULTIPART, timeout=60)
    assert answer.status_code == 411
    assert answer.json()["code"] == "invalid_request"


def test_a_file_just_over_the_limit_is_stopped_by_its_bytes(url):
    answer = requests.post(
        url + "/api/v1/convert",
        files={"file": ("big.png", bytes(settings.UPLOAD_MAX_BYTES + 1))},
        data={"output_format": "webp"},
        timeout=60,
    )
    assert_too_large(answer.status_code, answer.json())


def spend_a_guests_minute(url):
    for _ in range(10):
        assert requests.post(url + "/api/v1/convert", timeout=10).status_code == 400


REFUSED = {
    401: ("/api/v1/convert", {"Authorization": "Bearer koala_nonsense"}),
    404: ("/job/nothing/here", {}),
    405: ("/api/v1/conversions", {}),
    429: ("/api/v1/convert", {}),
}


@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "in chunks"])
@pytest.mark.parametrize("status", REFUSED)
def test_a_client_that_is_refused_reads_why_and_goes_on_over_the_same_connection(url, status, chunked):
    if status == 429:
        spend_a_guests_minute(url)
    path, headers = REFUSED[status]
    client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    client.connect()
    client.auto_open = False  # a second request on a closed connection would open another
    for _ in range(5):
        if chunked:
            body = (bytes(65536) for _ in range(2 * MEGABYTE // 65536))
            client.request("POST", path, body, {**MULTIPART, **headers}, encode_chunked=True)
        else:
            client.request("POST", path, bytes(2 * MEGABYTE), {**MULTIPART, **headers})
        answer = client.getresponse()
        assert answer.status == status, answer.read()
        assert json.loads(answer.read())["detail"]
    client.request("GET", "/api/v1/conversions")
    assert client.getresponse().status == 200
    client.close()


def test_clients_that_are_refused_and_never_send_their_body_leave_threads_to_the_others(url):
    host, port = url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection((host, int(port)), 10)) for _ in range(3 * THREADS)
        ]
        for client in clients:
            client.sendall(
                b"POST /api/v1/convert HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
                b"Authorization: Bearer koala_nonsense\r\n\r\n"
            )
        waiting, deadline = set(clients), time.monotonic() + 10
        while len(waiting) > THREADS // 4 and time.monotonic() < deadline:
            waiting -= set(select.select(list(waiting), [], [], 0.1)[0])
        assert len(waiting) == THREADS // 4
        assert requests.get(url + "/api/v1/conversions", timeout=10).status_code == 200


def test_head_has_the_headers_of_get_and_leaves_the_connection_good(url):
    with requests.Session() as session:
        for path in ("/api/v1/conversions", "/job/nothing", "/api/v1/openapi.json"):
            head = session.head(url + path, timeout=10)
            get = session.get(url + path, timeout=10)
            assert (head.status_code, head.content) == (get.status_code, b"")
            assert head.headers["Content-Length"] == get.headers["Content-Length"] == str(len(get.content))
            assert "RateLimit" in head.headers


def test_an_upload_that_breaks_off_does_no_harm(url):
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as client:
        client.sendall(
            b"POST /api/v1/convert HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
    assert requests.get(url + "/api/v1/conversions", timeout=10).status_code == 200


def test_large_bodies_are_read_in_bounded_memory(granian, url):
    workers = psutil.Process(granian[1].pid).children(recursive=True)
    before = sum(worker.memory_info().rss for worker in workers)
    test_200_megabytes_by_a_client_that_writes_all_before_it_reads(url)
    assert sum(worker.memory_info().rss for worker in workers) - before < 40 * MEGABYTE
