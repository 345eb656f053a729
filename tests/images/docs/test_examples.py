"""The examples, run as the page shows them: against a server with a worker, and one in front that refuses."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from django.utils import timezone
from PIL import Image

from accounts import api_keys
from accounts.models import ApiKey, Tier, User
from images.docs import example_files, first_request, rehearsal, webhooks
from images.docs.example_files import EXAMPLES, how_to_run
from images.drawings import draw
from tests.images.docs.front import Front
from usage.escalation.reactivation import suspend
from usage.limits.refusals import Dialect, refusal

pytestmark = pytest.mark.once

PROGRAMS = {"curl": "curl", "python": "python3", "javascript": "node", "powershell": "pwsh"}
HERE = [example for example in EXAMPLES if shutil.which(PROGRAMS[example.anchor])]
PNG = draw(1, (40, 30), "png")

CONVERT, JOB, DOWNLOAD = "POST /api/v1/convert", "GET /api/v1/jobs", "GET /api/v1/downloads"


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.anchor for example in EXAMPLES])
def test_what_an_example_needs_is_here_or_the_others_do_without(example):
    if example not in HERE:
        pytest.skip(f"{PROGRAMS[example.anchor]} is not installed: {example.filename} is not tried")


@dataclass
class Run:
    """What came of an example: how it ended, what it said, and what it asked for by way of `front`."""

    status: int
    out: str
    error: str
    folder: Path
    front: Front


@pytest.fixture
def key(transactional_db):
    owner = User.objects.create_user("olivia@example.com")
    tier, _ = Tier.objects.get_or_create(slug="boundless", defaults={"name": "Boundless"})
    return api_keys.issue(owner, name="docs", tier=tier)[1]


@pytest.fixture
def run_all(live_server, worker, settings, key, tmp_path):
    """Runs all examples at once, each in a folder of its own and with its own server in front of ours."""
    settings.BASE_URL = live_server.url

    def run(*refusals, key=key, photo=PNG, in_background=False):
        with ExitStack() as stack:
            under_way = []
            for example in HERE:
                front = stack.enter_context(Front(live_server.url, in_background=in_background))
                front.refusals = list(refusals)
                folder = tmp_path / example.anchor
                folder.mkdir()
                (folder / "photo.png").write_bytes(photo)
                under_way.append((front, folder, start(example, front.url, key, folder)))
            return [end(*one) for one in under_way]

    return run


def start(example, url, key, folder):
    """The commands of the page in a shell, beside the file as it is handed out."""
    shutil.copy(example_files.FOLDER / example.filename, folder)
    shell = ["pwsh", "-NoProfile", "-Command"] if example.anchor == "powershell" else ["sh", "-ec"]
    commands = how_to_run(example, url).replace("koala_…", key)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # a python3 that has requests
    return subprocess.Popen(
        [*shell, commands],
        cwd=folder,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(front, folder, process):
    try:
        out, error = process.communicate(timeout=60)
    finally:
        process.kill()
    return Run(process.returncode, out.strip(), error, folder, front)


def refused(code, **told):
    return refusal(code, "A test's.", dialect=Dialect.API, **told)


def assert_converted(run):
    assert (run.status, run.out) == (0, "photo.webp"), run
    with Image.open(run.folder / "photo.webp") as result:
        assert (result.format, result.size) == ("WEBP", (40, 30))


def assert_given_up(run):
    assert (run.status, run.out) == (1, ""), run
    assert not (run.folder / "photo.webp").exists()


def test_they_convert_an_image_and_show_their_key_to_the_api_alone(run_all):
    for run in run_all():
        assert_converted(run)
        assert run.front.asked() == [CONVERT, DOWNLOAD]
        assert [call.has_key for call in run.front.calls] == [True, False]


def test_refused_they_wait_as_told_and_longer_each_time_then_ask_for_the_job_until_it_is_done(run_all):
    refusals = refused("rate_limited", retry_after=2), refused("limits_unavailable")
    for run in run_all(*refusals, in_background=True):
        assert_converted(run)
        waits = [float(seconds) for seconds in re.findall(r"^Again in ([\d.]+) s", run.error, re.MULTILINE)]
        # First 2 because it was told so, though by itself it would take 1; then 2 because it doubles.
        assert len(waits) == 2, run
        assert all(2 <= seconds <= 2.5 for seconds in waits), run
        asked = run.front.asked()
        assert asked[:4] == [CONVERT, CONVERT, CONVERT, JOB]
        assert set(asked[4:-1]) <= {JOB}
        assert asked[-1] == DOWNLOAD


def test_they_say_why_a_job_failed(run_all):
    for run in run_all(photo=b"no image at all", in_background=True):
        assert_given_up(run)
        assert run.error.startswith("The job is failed: "), run
        assert "unsupported_format" in run.error or "invalid_request" in run.error, run


@pytest.mark.parametrize("code", ["invalid_key", "key_suspended"])
def test_with_a_bad_key_they_give_up_at_once_and_say_why(run_all, key, code):
    if code == "key_suspended":
        suspend(ApiKey.objects.get(), by=None, reason="A test.")
    for run in run_all(key=key if code == "key_suspended" else "koala_nonsense"):
        assert_given_up(run)
        assert run.error.startswith("Refused: 40"), run
        assert code in run.error
        assert run.front.asked() == [CONVERT]


def test_they_do_not_wait_for_the_rest_of_a_day(run_all):
    for run in run_all(refused("rate_limited", limit="day", retry_after=86_400)):
        assert_given_up(run)
        assert run.error.startswith("Given up: 429 "), run
        assert run.front.asked() == [CONVERT]


def test_the_page_tells_of_them_what_they_do(client):
    """Six tries and ten minutes."""
    text = client.get("/docs/examples/").content.decode()
    assert "After six tries they give up, and sooner if they should wait for more than ten minutes." in text
    for example in EXAMPLES:
        assert re.search(r"attempts = ?6|attempts=6", example.text, re.IGNORECASE), example.filename
        assert re.search(r"longest_?wait ?= ?600", example.text, re.IGNORECASE), example.filename


def test_the_first_request_works_as_it_is_shown(live_server, worker, key, tmp_path):
    (tmp_path / "photo.png").write_bytes(PNG)
    command = first_request.command(live_server.url).replace(first_request.KEY, key)
    said = subprocess.run(["sh", "-ec", command], cwd=tmp_path, capture_output=True, check=True, timeout=60)
    assert b'"status": "done"' in said.stdout


def test_the_test_of_a_client_tries_the_python_example(live_server, worker, key, tmp_path):
    owner = User.objects.get()
    text = api_keys.issue(owner, name="rehearsal", is_rehearsal=True)[1]
    for name in ("convert.py", "rehearse.py"):
        shutil.copy(example_files.FOLDER / name, tmp_path)
    ran = subprocess.run(
        [sys.executable, "rehearse.py"],
        cwd=tmp_path,
        env=os.environ | {"KOALA_URL": live_server.url, "KOALA_KEY": text},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert re.findall(r"^(\S+): waited 2\.\d s, then 200$", ran.stdout, re.MULTILINE) == [
        *("rate_limited", "queue.pool_saturated")
    ]
    assert ran.stderr.count("Again in 2.") == 2


def test_a_refusal_is_rehearsed_as_the_page_shows_it(live_server, worker, key, tmp_path):
    text = api_keys.issue(User.objects.get(), name="rehearsal", is_rehearsal=True)[1]
    (tmp_path / "photo.png").write_bytes(PNG)
    command = rehearsal.command(live_server.url).replace(rehearsal.KEY, text)
    said = [
        subprocess.run(
            ["sh", "-ec", command], cwd=tmp_path, capture_output=True, text=True, timeout=60
        ).stdout
        for command in (command, f"sleep 2; {command}")
    ]
    assert [text.split()[1] for text in said] == ["429", "200"]
    assert "X-Koala-Rehearsal: true" in said[0]
    assert '"code": "cooldown"' in said[0]


def test_the_receiver_takes_our_events_and_no_others():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, example_files.FOLDER / "receive.py", str(port)],
        env=os.environ | {"KOALA_WEBHOOK_SECRET": webhooks.SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        event = webhooks.event(timezone.now())
        assert send(port, event.sent, event.headers).status_code == 204
        assert process.stdout.readline() == f"{webhooks.ID} job.completed job_5pX2mVbQ8nRk3TzLw7YcJd\n"
        assert send(port, event.sent.replace("webp", "jpeg"), event.headers).status_code == 400
    finally:
        process.kill()
        process.communicate()


def send(port, body, headers):
    """An event to the receiver, once it listens."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return requests.post(f"http://127.0.0.1:{port}/", data=body.encode(), headers=headers, timeout=10)
        except requests.ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
