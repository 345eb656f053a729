"""The order in which a panel comes up: the store, then everything that needs it, then `ready`."""

import time
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from koalapanel.checks import check_limit_store
from koalapanel.up import probes
from koalapanel.up.components import Component
from koalapanel.up.console import Console
from koalapanel.up.manager import Manager

LONGEST_START = 120  # seconds
WORKERS = {"worker", "jobs"}  # each says itself when it takes tasks


class Panel:
    """One run of all components; `failure` says why it ended, `None` if it was asked to."""

    def __init__(
        self, components: Sequence[Component], console: Console, *, url: str, host_header: str, demo: bool
    ) -> None:
        self._manager = Manager(components, console, self._tick)
        self._console = console
        self._url = url
        self._host_header = host_header
        self._demo = demo
        self._step = self._start_store
        self._waiting_for = ""
        self._began = time.monotonic()

    @property
    def failure(self) -> str | None:
        return self._manager.failure

    def run(self, var_dir: Path, lock: int) -> None:
        self._manager.run(var_dir, lock)

    def _tick(self) -> None:
        """Do the present step; each one sets the next when its time has come."""
        if self._manager.is_stopping:
            return
        self._step()
        if self._step != self._serve and time.monotonic() - self._began > LONGEST_START:
            self._manager.stop(f"Not ready after {LONGEST_START} s: waiting for {self._waiting_for}.")

    def _start_store(self) -> None:
        self._manager.start("store")
        self._step = self._await_store

    def _await_store(self) -> None:
        self._waiting_for = "the limit store"
        if probes.store_answers(settings.ENV.REDIS_URL):
            # It may have been away when the checks of this command ran.
            if errors := check_limit_store():
                self._manager.stop(f"{errors[0].msg} {errors[0].hint}")
                return
            if self._demo:
                self._prepare_demo()
            self._manager.start("web", *WORKERS, "beat")
            self._step = self._await_all

    def _await_all(self) -> None:
        if missing := WORKERS - self._manager.ready_workers:
            self._waiting_for = f"the worker ({', '.join(sorted(missing))})"
        elif trouble := probes.web_answers(self._url, self._host_header):
            self._waiting_for = f"the web server ({trouble})"
        else:
            self._console.say(f"ready {self._url}")
            if self._demo:
                self._manager.start("traffic")
            self._step = self._serve

    def _serve(self) -> None:
        """Nothing left to do but to watch."""

    def _prepare_demo(self) -> None:
        from koalapanel.demo.accounts import as_table, prepare

        for line in as_table(prepare(), self._url):
            self._console.say(line)
