"""The limits on jobs as a user meets them: with curl, against a panel as `up` starts it, in both dialects."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from images.drawings import draw
from koalapanel.env import BASE_DIR
from tests.panel import Up

SECONDS = 60  # for what a quiet machine does in one

FULL = "Too many queued jobs. Wait for existing jobs to complete."
API_REFUSAL = {
    "error": "Queue limit exceeded",
    "retry_after": 5,
    "code": "queue.limit_exceeded",
    "detail": FULL,
}
SHORT_REFUSAL = {"error": "queue.limit_exceeded", "detail": FULL}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: dict


@dataclass
class User:
    """Somebody with a shell; without a key a guest."""

    url: str
    key: str | None
    parallel: int
    queued: int
    picture: str

    def curl(self, path: str, *arguments: str) -> Answer:
        key = ["-H", f"X-Api-Key: {self.key}"] if self.key else []
        command = ["curl", "--silent", "--show-error", "--include", *key, *arguments, self.url + path]
        printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS).stdout
        head, _, body = printed.partition("\n\n")
        status, *headers = head.splitlines()
        return Answer(
            int(status.split()[1]), dict(line.lower().split(": ", 1) for line in headers), json.loads(body)
        )

    def convert(self) -> Answer:
        return self.curl("/api/v1/convert", "-F", self.file, "-F", "output_format=webp", "-F", "async=true")

    def compress(self) -> Answer:
        return self.curl("/api/v1/compress", "-F", self.file, "-F", "quality=50", "-F", "async=true")

    def convert_short(self) -> Answer:
        return self.curl("/convert", "-F", self.file, "-F", "targetFormat=webp", "-F", "async=true")

    def compress_short(self) -> Answer:
        return self.curl("/compress", "-F", self.file, "-F", "quality=50", "-F", "async=true")

    def send_batch(self, files: int) -> Answer:
        many = [part for _ in range(files) for part in ("-F", f"files=@{self.picture}")]
        return self.curl("/api/v1/batch", *many, "-F", "output_format=webp")

    @property
    def file(self) -> str:
        return f"file=@{self.picture}"

    def used(self) -> tuple[int, int]:
        """Running and queued."""
        limits = self.curl("/entitlements/me").body["limits"]
        assert (limits["parallel"]["limit"], limits["queued"]["limit"]) == (self.parallel, self.queued)
        return limits["parallel"]["used"], limits["queued"]["used"]

    def wait_until_used(self, running: int, queued: int) -> None:
        deadline = time.monotonic() + SECONDS
        while (used := self.used()) != (running, queued):
            assert time.monotonic() < deadline, used
            time.sleep(0.3)  # asking has a limit of its own


@dataclass
class Panel:
    up: Up
    url: str
    picture: str

    def user(self, tier: str, parallel: int, queued: int) -> User:
        key = None
        if tier != "anonymous":
            command = [sys.executable, "manage.py", "issue_key", f"{tier}@example.com", "--tier", tier]
            printed = subprocess.run(
                command, cwd=BASE_DIR, env=self.up.told, capture_output=True, text=True, check=True
            )
            key = printed.stdout.strip()
        return User(self.url, key, parallel, queued, self.picture)

    @contextmanager
    def jobs_that_last(self) -> Iterator[None]:
        """Meanwhile no job makes headway: the process that starts one for each picture is held. The workers
        are not, and go on saying that their jobs run."""
        (template,) = self.up.wait_for_child("jobs@koalapanel").children()
        template.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            template.send_signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def panel(new_database) -> Iterator[Panel]:
    with tempfile.TemporaryDirectory(prefix="koala-curl-") as path:
        told = {"WORKER_PROCESSES": "13", "LIMITS_TIMEOUT_MS": "1000"}
        with Up(Path(path) / "var", database=new_database(), **told) as up:
            picture = Path(path) / "koala.png"
            picture.write_bytes(draw(1, (8, 8), "png"))
            yield Panel(up, up.wait_until_ready(), str(picture))


def assert_refused_in_both_dialects(user: User) -> None:
    """The next job is one too many, whatever it is, and costs none of the requests."""
    left = user.curl("/api/v1/conversions").headers["x-ratelimit-remaining"]
    for send, body in (
        (user.convert, API_REFUSAL),
        (user.compress, API_REFUSAL),
        (user.convert_short, SHORT_REFUSAL),
        (user.compress_short, SHORT_REFUSAL),
        (lambda: user.send_batch(1), API_REFUSAL),
    ):
        refused = send()
        assert (refused.status, refused.body) == (429, body)
        assert refused.headers["retry-after"] == "5"
        assert refused.headers["x-ratelimit-limit"]
    assert user.curl("/conversions").headers["x-ratelimit-remaining"] == left


@pytest.mark.once
@pytest.mark.parametrize(
    ("tier", "parallel", "queued"),
    [
        ("free", 3, 200),
        pytest.param("pro", 6, 1000, marks=pytest.mark.long),  # as free, with a thousand jobs
        ("anonymous", 3, 100),
    ],
)
def test_so_many_run_so_many_wait_and_the_next_is_refused_until_one_ends(panel, tier, parallel, queued):
    user = panel.user(tier, parallel, queued)
    first = user.convert_short()
    assert first.status == 202
    user.wait_until_used(0, 0)
    with panel.jobs_that_last():
        for send in [user.convert, user.convert_short, user.compress_short, *[user.compress] * 3][:parallel]:
            assert send().status == 202
        user.wait_until_used(parallel, 0)
        jobs = []
        while len(jobs) < queued:
            batch = user.send_batch(50)
            assert batch.status == 202, batch.body
            jobs += [job["id"] for job in batch.body["jobs"]]
        assert user.used() == (parallel, queued)
        assert user.curl(f"/job/{jobs[-1]}").body["place"] == queued
        assert_refused_in_both_dialects(user)
        # One is cancelled: there is room for one, and a batch of two is refused whole.
        assert user.curl(f"/api/v1/jobs/{jobs[0]}", "-X", "DELETE").body["status"] == "cancelled"
        assert user.send_batch(2).body == API_REFUSAL
        assert user.used() == (parallel, queued - 1)
        assert user.convert_short().status == 202
        assert_refused_in_both_dialects(user)
    # They go on, and end: each gives its place to the next.
    deadline = time.monotonic() + SECONDS
    while user.used()[1] == queued:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    assert user.convert().status == 202
    assert user.used()[0] <= parallel
