"""`manage.py up` as a process of its own, started as a person would, and the processes it leaves."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
import pytest

from koalapanel.env import BASE_DIR, Environment

# Made once for all processes of tests and for the runs after them, until one of these files changes.
COLLECTED = BASE_DIR / ".pytest_cache" / "collected"
COLLECT = (
    "import django; django.setup();"
    "from koalapanel.up.static_files import collect_if_changed; collect_if_changed()"
)
SECONDS_TO_STOP = 5
SECONDS_TO_START = 90  # two busy cores take their time


def environment(**more: str) -> dict[str, str]:
    """What a shell would pass on: without the tests' own settings, and without the panel's."""
    ours = ("DJANGO_SETTINGS_MODULE", *Environment.names())
    return {name: value for name, value in os.environ.items() if name not in ours} | more


@dataclass
class End:
    """How an `up` ended: what it returned, after how long, of how many processes which ones are left."""

    code: int
    seconds: float
    processes: int
    left: list[psutil.Process]


class Up:
    """One `manage.py up` on a VAR_DIR, until the end of its `with` block.

    `database` is what the fixture `new_database` made, `more` are other variables; by `told`, other commands
    find the panel.
    """

    def __init__(
        self,
        var_dir: Path,
        *arguments: str,
        database: dict[str, str],
        has_static_files: bool = True,
        **more: str,
    ) -> None:
        self.var_dir = var_dir
        if has_static_files:
            _give_static_files(var_dir)
        self.told = environment(VAR_DIR=str(var_dir), **database, **more)
        self.output = Path(tempfile.mkstemp(prefix="koala-up-", suffix=".log")[1])
        command = [sys.executable, "manage.py", "up", "--port", "0", "--var", str(var_dir), *arguments]
        told = environment(**{"WORKER_PROCESSES": "1"} | database | more)
        with self.output.open("w") as file:
            self.process = subprocess.Popen(command, cwd=BASE_DIR, stdout=file, stderr=file, env=told)

    @property
    def said(self) -> str:
        return self.output.read_text()

    def wait_until_it_says(self, pattern: str, seconds: float = SECONDS_TO_START) -> re.Match[str]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if match := re.search(pattern, self.said, re.MULTILINE):
                return match
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        pytest.fail(f"`up` did not say {pattern!r} but:\n{self.said}")

    def wait_until_ready(self) -> str:
        return self.wait_until_it_says(r"^ready (http://127\.0\.0\.1:\d+)$")[1]

    def family(self) -> list[psutil.Process]:
        """Itself and all of its descendants."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def child(self, *words: str) -> psutil.Process:
        """Its own child with all of these words in its command line."""
        (found,) = self._children(words)
        return found

    def wait_for_child(self, *words: str) -> psutil.Process:
        deadline = time.monotonic() + 10
        while not self._children(words) and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.child(*words)

    def _children(self, words: tuple[str, ...]) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if all(word in " ".join(child.cmdline()) for word in words)]

    def end_by(self, number: signal.Signals) -> "End":
        """Send it a signal and see how it ends."""
        family, began = self.family(), time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(SECONDS_TO_STOP * 2)
        return End(code, time.monotonic() - began, len(family), still_alive(family, 0))

    def __enter__(self) -> "Up":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(SECONDS_TO_STOP * 2)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output.unlink()


def _give_static_files(var_dir: Path) -> None:
    """A copy that the panel finds up to date: to collect and compress them takes nine seconds of a core."""
    COLLECTED.mkdir(parents=True, exist_ok=True)
    with (COLLECTED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _collect()
        shutil.copytree(COLLECTED / "static", var_dir / "static", dirs_exist_ok=True)
        shutil.copy(COLLECTED / "static.stamp", var_dir)


@cache
def _collect() -> None:
    """By the panel's own code and settings, which are not ours, and not at all if nothing has changed."""
    told = environment(DJANGO_SETTINGS_MODULE="koalapanel.settings", VAR_DIR=str(COLLECTED))
    subprocess.run([sys.executable, "-c", COLLECT], cwd=BASE_DIR, env=told, check=True)


def still_alive(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that are not gone within so many seconds; the dead that nobody has reaped are gone."""
    deadline = time.monotonic() + seconds
    while processes := [process for process in processes if is_alive(process)]:
        if time.monotonic() > deadline:
            return processes
        time.sleep(0.05)
    return []


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
