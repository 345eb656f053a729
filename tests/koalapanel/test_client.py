"""The client that the README shows, with only the address and the key filled in, against a whole panel."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import requests

from images.drawings import draw
from koalapanel.env import BASE_DIR
from tests.panel import Up

LIMIT = 30


@pytest.fixture(scope="module")
def panel(new_database):
    with (
        tempfile.TemporaryDirectory(prefix="koala-client-") as var_dir,
        Up(Path(var_dir), database=new_database()) as up,
    ):
        up.wait_until_ready()
        yield up


@pytest.fixture(scope="module")
def key(panel):
    command = [sys.executable, "manage.py", "issue_key", "client@example.com"]
    return subprocess.run(
        command, cwd=BASE_DIR, env=panel.told, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.once
def test_a_client_that_waits_as_it_is_told_succeeds_at_once(panel, key, tmp_path):
    """The one test that waits for a real minute to end: the promise is about real ones."""
    url = panel.wait_until_ready()
    path = tmp_path / "picture.png"
    path.write_bytes(draw(1, (64, 48), "png"))

    def convert():
        with path.open("rb") as file:
            return requests.post(
                url + "/api/v1/convert",
                headers={"Authorization": f"Bearer {key}"},
                files={"file": file},
                data={"output_format": "webp"},
                timeout=30,
            )

    # With less than that left of it, the minute could end before the limit is reached.
    if (left := 60 - time.time() % 60) < 20:
        time.sleep(left)
    answers = [convert() for _ in range(LIMIT + 1)]
    assert [answer.status_code for answer in answers] == [200] * LIMIT + [429]
    assert [int(answer.headers["X-RateLimit-Remaining"]) for answer in answers[:LIMIT]] == [
        *reversed(range(LIMIT))
    ]
    refused = answers[-1]
    assert int(refused.headers["Retry-After"]) == refused.json()["retry_after"]

    time.sleep(int(refused.headers["Retry-After"]))
    again = convert()
    assert (again.status_code, again.headers["X-RateLimit-Remaining"]) == (200, str(LIMIT - 1))
    download = requests.get(again.json()["download_url"], timeout=10)
    assert download.headers["Content-Type"] == "image/webp"
    assert len(download.content) == again.json()["output"]["bytes"]
