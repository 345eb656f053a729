"""`manage.py up` for real: the tests start it as a person would, and look at the processes it leaves."""

import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import redis
import requests

from images.drawings import draw
from koalapanel.env import BASE_DIR
from tests.panel import SECONDS_TO_START, SECONDS_TO_STOP, End, Up, still_alive


@pytest.fixture(scope="module")
def var_dir() -> Iterator[Path]:
    """One for all tests here: only the first start has to migrate and to collect static files."""
    with tempfile.TemporaryDirectory(prefix="koala-up-") as path:
        yield Path(path)


@pytest.fixture(scope="module")
def database(new_database: Callable[[], dict[str, str]]) -> dict[str, str]:
    """As with `var_dir`, one for all of them."""
    return new_database()


@pytest.fixture
def start(var_dir: Path, database: dict[str, str]) -> Iterator[Callable[..., Up]]:
    with ExitStack() as started:
        yield lambda *arguments: started.enter_context(Up(var_dir, *arguments, database=database))


@pytest.fixture(scope="class")
def running(var_dir: Path, database: dict[str, str]) -> Iterator[Up]:
    """A panel that the tests of a class share."""
    # On a busy machine 50 ms pass without anybody's fault.
    with Up(var_dir, database=database, LIMITS_TIMEOUT_MS="300") as up:
        up.wait_until_ready()
        yield up


def issue_key(up: Up, *options: str) -> str:
    """What the command prints."""
    command = [sys.executable, "manage.py", "issue_key", "carla@example.com", *options]
    return subprocess.run(
        command, cwd=BASE_DIR, env=up.told, capture_output=True, text=True, check=True
    ).stdout


class TestAPanelThatRuns:
    def test_it_says_what_it_started_and_then_ready_once(self, running: Up):
        lines = running.said.splitlines()

        assert f"limit store  unix://{running.var_dir}/valkey.sock" in lines
        database = running.told.get("DATABASE_URL", f"sqlite:///{running.var_dir}/db.sqlite3")
        assert f"database     {database}" in lines
        for name in ("web", "worker", "jobs", "beat"):
            assert any(line.startswith(f"{name} ") for line in lines)
        assert sum(line.startswith("ready ") for line in lines) == 1
        assert lines[-1].startswith("ready ")

    def test_it_serves_at_the_address_it_says(self, running: Up):
        answer = requests.get(running.wait_until_ready() + "/healthz", timeout=5)

        assert (answer.status_code, answer.text) == (200, "ok")

    def test_its_store_listens_on_no_port_and_keeps_what_it_is_told(self, running: Up):
        store = running.child("valkey-server")
        client = redis.Redis(unix_socket_path=str(running.var_dir / "valkey.sock"))

        assert not [each for each in store.net_connections("inet") if each.status == psutil.CONN_LISTEN]
        assert (running.var_dir / "valkey.sock").stat().st_mode & 0o077 == 0
        settings = client.config_get("appendonly", "maxmemory-policy", "appendfsync")
        assert settings == {"appendonly": "yes", "maxmemory-policy": "noeviction", "appendfsync": "everysec"}

    def test_it_listens_on_loopback_alone(self, running: Up):
        listening = {
            connection.laddr.ip
            for process in running.family()
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }

        assert listening == {"127.0.0.1"}

    def test_other_commands_find_it_by_var_dir(self, running: Up):
        printed = issue_key(running)

        assert re.fullmatch(r"koala_\w{38}\n", printed)
        key = {"Authorization": f"Bearer {printed.strip()}"}
        route = running.wait_until_ready() + "/api/v1/conversions"
        assert requests.get(route, headers=key, timeout=5).status_code == 200

    def test_a_picture_that_is_sent_to_it_comes_back_converted(self, running: Up):
        url = running.wait_until_ready()
        answer = requests.post(
            url + "/api/v1/convert",
            files={"file": draw(1, (64, 48), "png")},
            data={"output_format": "webp"},
            timeout=30,
        )

        assert answer.json()["status"] == "done"
        assert requests.get(answer.json()["download_url"], timeout=5).content[8:12] == b"WEBP"

    @pytest.mark.once
    def test_the_readmes_client_waits_as_it_is_told_and_succeeds_at_once(
        self, running: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """The one test that waits for a real minute to end: the promise is about real ones."""
        url, key = running.wait_until_ready(), issue_key(running, "--limit", "minute=3").strip()
        headers = {"Authorization": f"Bearer {key}"}
        (tmp_path / "picture.png").write_bytes(draw(1, (64, 48), "png"))
        (client,) = re.findall(r"```python\n(.*?)```", (BASE_DIR / "README.md").read_text(), re.DOTALL)
        for shown, ours in (("http://127.0.0.1:8000", url), ("koala_…", key)):
            assert shown in client
            client = client.replace(shown, ours)

        # With less than that left of it, the minute could end before the client comes.
        if (left := 60 - time.time() % 60) < 10:
            time.sleep(left)
        answers = [requests.post(url + "/api/v1/convert", headers=headers, timeout=30) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [400, 400, 400, 429]  # for want of a picture
        monkeypatch.chdir(tmp_path)
        told: dict[str, requests.Response] = {}
        exec(client, told)  # noqa: S102

        assert told["r"].json()["status"] == "done"
        assert told["r"].headers["X-RateLimit-Remaining"] == "2"
        # Its own first try is the second.
        standing = requests.get(url + "/api/v1/usage", headers=headers, timeout=5).json()
        assert standing["hits_24h"]["total"] == 2

    def test_a_second_one_on_the_same_state_is_refused_in_one_line(
        self, running: Up, start: Callable[..., Up]
    ):
        second = start()

        assert second.process.wait(30) == 1
        who = f"process {running.process.pid}"
        assert second.said == f"CommandError: A panel is already running on {running.var_dir} ({who}).\n"

    @pytest.mark.parametrize(
        ("name", "word"), [("worker", "worker@koalapanel"), ("jobs", "jobs@koalapanel"), ("web", "granian")]
    )
    def test_a_child_that_dies_takes_its_own_along_and_is_restarted(self, running: Up, name: str, word: str):
        child = running.wait_for_child(word)
        family = [child, *child.children()]
        assert len(family) > 1  # that of jobs since the picture above
        child.kill()

        running.wait_until_it_says(rf"^{name} +died \(signal SIGKILL\); restarting$", 10)
        assert not still_alive(family, 1)
        assert running.wait_for_child(word).pid != child.pid

    def test_nothing_outlives_it_for_long_when_it_is_killed(self, running: Up):
        """The last one: its panel is gone."""
        family = running.family()

        running.process.kill()

        assert not still_alive(family, SECONDS_TO_STOP)


def test_a_port_that_is_taken_is_refused_before_anything_is_started(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Up(tmp_path, "--port", str(port), database={}, has_static_files=False) as up:
            assert up.process.wait(30) == 1
            assert (
                up.said == f"CommandError: Port {port} of 127.0.0.1 is taken: choose another with --port.\n"
            )
            assert sorted(path.name for path in tmp_path.iterdir()) == ["secrets.json", "up.lock"]


@dataclass
class Life:
    """One run with sample accounts, from its start to its end."""

    said: str
    stored: bytes | None
    end: End

    @property
    def samples(self) -> list[str]:
        return [line.strip() for line in self.said.splitlines() if "@example.com" in line]


@pytest.fixture(scope="class")
def lives(var_dir: Path, database: dict[str, str]) -> list[Life]:
    """Two runs on the same state: the first ends by SIGTERM, the second by Ctrl-C."""
    lives = []
    for number in (signal.SIGTERM, signal.SIGINT):
        with Up(var_dir, "--demo", database=database) as up:
            up.wait_until_ready()
            with redis.Redis(unix_socket_path=str(var_dir / "valkey.sock")) as store:
                stored = store.get("kept")
                store.set("kept", "yes")
            up.wait_for_child("demo_traffic")
            lives.append(Life(up.said, stored, up.end_by(number)))
    return lives


@pytest.mark.once
class TestTheEnd:
    def test_a_signal_stops_everything_within_five_seconds(self, lives: list[Life]):
        for life in lives:
            assert life.end.code == 0
            assert life.end.seconds < SECONDS_TO_STOP

    def test_no_process_is_left(self, lives: list[Life]):
        for life in lives:
            # Itself, the watcher, the store, web with a process, worker with three, jobs, beat, the clients.
            assert life.end.processes >= 11
            assert life.end.left == []

    def test_the_next_start_finds_the_data_of_the_last(self, lives: list[Life]):
        assert [life.stored for life in lives] == [None, b"yes"]

    def test_sample_accounts_are_the_same_at_every_start(self, lives: list[Life], var_dir: Path):
        first, second = lives
        kept = var_dir / "demo.json"
        roles = ["", "(Support)", "(Limits)", "", "", "", ""]

        assert first.samples == second.samples
        assert [tuple(line.split()) for line in first.samples] == [
            (row["email"], row["password"], row["key"] or role)
            for row, role in zip(json.loads(kept.read_text()), roles, strict=True)
        ]
        assert kept.stat().st_mode & 0o077 == 0

    def test_a_child_that_cannot_stay_up_ends_it_with_an_error(self, start: Callable[..., Up], var_dir: Path):
        manifest = var_dir / "valkey" / "appendonlydir" / "appendonly.aof.manifest"
        kept = manifest.read_bytes()
        manifest.write_bytes(b"no manifest\n")
        try:
            up = start()

            assert up.process.wait(SECONDS_TO_START) == 1
            assert up.said.endswith(
                "CommandError: store died 5 times within 60 s (exit code 1): giving up.\n"
            )
        finally:
            manifest.write_bytes(kept)
