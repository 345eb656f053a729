"""Kill -9 of everything that takes part, while jobs come and run: each ends, once, with its reason."""

import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
import requests

from images.drawings import draw
from koalapanel.env import BASE_DIR
from tests.panel import Up

BATCH = 10
BOUNDLESS = [f"{kind}=1000000" for kind in ("minute", "day", "concurrent", "queued")]
# Of a worker that is killed: 20 s until it is missed, 5 s until beat looks, and what a busy machine needs to
# start it again. A job may lose two.
SECONDS_TO_RECOVER = 180

# The database itself remembers each time that a job ends.
COUNT_ENDS = """
CREATE TABLE ends (job TEXT);
CREATE TRIGGER count_ends AFTER UPDATE OF status ON images_job
WHEN NEW.status NOT IN ('queued', 'running')
BEGIN INSERT INTO ends VALUES (NEW.id); END;
"""


class Panel:
    """A running panel on a SQLite of its own, which the tests read over the panel's shoulder."""

    def __init__(self, up: Up) -> None:
        self.up = up
        self.url = up.wait_until_ready()
        command = [sys.executable, "manage.py", "issue_key", "chaos@example.com", "--tier", "pro"]
        options = [option for limit in (*BOUNDLESS, "parallel=6") for option in ("--limit", limit)]
        printed = subprocess.run(
            [*command, *options], cwd=BASE_DIR, env=up.told, capture_output=True, text=True, check=True
        ).stdout
        self.key = {"Authorization": f"Bearer {printed.strip()}"}
        self._sql(COUNT_ENDS)

    def _sql(self, script: str) -> None:
        with closing(sqlite3.connect(self.up.var_dir / "db.sqlite3", timeout=20)) as database:
            database.executescript(script)

    def rows(self, query: str) -> list[tuple]:
        with closing(sqlite3.connect(self.up.var_dir / "db.sqlite3", timeout=20)) as database:
            return database.execute(query).fetchall()

    def ended(self) -> int:
        return self.rows("SELECT count(*) FROM images_job WHERE ended_at IS NOT NULL")[0][0]

    def files(self, folder: str) -> set[str]:
        return {f"{folder}/{path.name}" for path in (self.up.var_dir / "files" / folder).glob("*")}

    def submit(self, files: list[tuple], output_format: str) -> list[str]:
        """The jobs' ids, however often it takes: that nobody answers, or 503, is what this is about."""
        while True:
            with suppress(requests.ConnectionError, requests.Timeout):
                answer = requests.post(
                    self.url + "/api/v1/batch",
                    headers=self.key,
                    files=files,
                    data={"output_format": output_format},
                    timeout=20,
                )
                if answer.status_code == 202:
                    return [job["id"] for job in answer.json()["jobs"]]
                assert answer.status_code == 503, answer.text
            time.sleep(0.1)

    # --- What is killed ----------------------------------------------------------------------------------

    def boxes(self) -> list[psutil.Process]:
        """One or none: a process in which a picture is decoded."""
        (template,) = self.up.wait_for_child("jobs@koalapanel").children() or [None]
        return [] if template is None else template.children()[:1]

    def template(self) -> list[psutil.Process]:
        return self.up.wait_for_child("jobs@koalapanel").children()

    def jobs(self) -> list[psutil.Process]:
        return [self.up.wait_for_child("jobs@koalapanel")]

    def worker(self) -> list[psutil.Process]:
        return [self.up.wait_for_child("worker@koalapanel")]

    def web(self) -> list[psutil.Process]:
        """The one that serves; or the whole web server."""
        return self.up.wait_for_child("granian").children()

    def store(self) -> list[psutil.Process]:
        return [self.up.wait_for_child("valkey-server")]


@pytest.fixture
def panel() -> Iterator[Panel]:
    with tempfile.TemporaryDirectory(prefix="koala-chaos-") as path:
        told = {"WORKER_PROCESSES": "2", "LIMITS_TIMEOUT_MS": "300", "POOL_QUEUE_LIMIT": "100000"}
        with Up(Path(path), database={}, **told) as up:
            yield Panel(up)


def submit_all(panel: Panel, jobs: int, accepted: list[str]) -> None:
    small = [("files", (f"{n}.png", draw(n, (160, 120), "png"))) for n in range(BATCH)]
    slow = [("files", ("slow.png", draw(1, (1600, 1200), "png")))]
    broken = [("files", ("broken.png", b"no picture"))]
    for number in range(jobs // BATCH):
        last = slow if number % 2 else broken
        accepted += panel.submit(small[1:] + last, "avif" if number % 4 == 1 else "webp")


def kill_in_turn(panel: Panel, jobs: int, rounds: int) -> Counter:
    """Each kind of process, each time that so many more jobs have ended."""
    killed: Counter = Counter()
    kinds = [panel.boxes, panel.jobs, panel.web, panel.store, panel.template, panel.worker] * rounds
    for turn, kind in enumerate(kinds, 1):
        deadline = time.monotonic() + SECONDS_TO_RECOVER
        while panel.ended() < jobs * turn // (len(kinds) + 1):
            assert time.monotonic() < deadline, f"{panel.ended()} of {jobs} ended\n{panel.up.said}"
            time.sleep(0.05)
        victims: list[psutil.Process] = []
        while not victims and panel.ended() < jobs:
            with suppress(psutil.NoSuchProcess, AssertionError, ValueError):
                victims = kind()
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.send_signal(signal.SIGKILL)
                killed[kind.__name__] += 1
    return killed


def every_job_ends_once(panel: Panel, jobs: int, rounds: int) -> None:
    accepted: list[str] = []
    client = threading.Thread(target=submit_all, args=(panel, jobs, accepted))
    client.start()
    killed = kill_in_turn(panel, jobs, rounds)
    client.join(SECONDS_TO_RECOVER)
    deadline = time.monotonic() + SECONDS_TO_RECOVER
    while panel.rows("SELECT 1 FROM images_job WHERE ended_at IS NULL LIMIT 1"):
        assert time.monotonic() < deadline, panel.up.said
        time.sleep(0.1)

    assert len(killed) == 6
    assert len(accepted) == len(set(accepted)) == jobs
    rows = panel.rows(
        "SELECT j.id, j.status, j.error_detail, j.result, j.source, count(d.id), j.attempts, j.deaths"
        " FROM images_job j LEFT JOIN images_download d ON d.job_id = j.id GROUP BY j.id"
    )
    # Some that the client never heard of are as good: it was the answer that was lost.
    assert set(accepted) <= {row[0] for row in rows}
    assert Counter(job for (job,) in panel.rows("SELECT job FROM ends")) == Counter(row[0] for row in rows)
    for pk, status, detail, result, source, downloads, attempts, deaths in rows:
        assert source == "", pk
        assert attempts <= deaths + 1 <= 2 or status == "failed", (pk, attempts, deaths)
        if status == "done":
            assert (bool(result), downloads, detail) == (True, 1, ""), pk
        else:
            assert (status, result, downloads, bool(detail)) == ("failed", "", 0, True), pk
    assert panel.files("in") == set()
    assert {row[3] for row in rows if row[3]} <= panel.files("out")
    assert set(panel.rows("SELECT queued, running FROM images_accountqueue")) == {(0, 0)}
    # What was killed is not what most of them met with.
    assert sum(row[1] == "done" for row in rows) > 0.8 * len(rows)


@pytest.mark.once
@pytest.mark.timeout(300)
def test_a_hundred_jobs(panel: Panel):
    every_job_ends_once(panel, 100, 1)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_thousand_jobs(panel: Panel):
    every_job_ends_once(panel, 1000, 4)
