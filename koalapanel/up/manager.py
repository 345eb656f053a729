"""Starts the components, restarts what dies, stops them all: supervisord's own machinery, in this process.

Supervisor brings the states, the back-off, stopping in order and killing by process group. What is ours is
the start in steps (the store first), what is said about it, and that nothing survives. See
`docs/decisions/0004-process-manager.md`.
"""

import io
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervisor import events
from supervisor.medusa.asyncore_25 import ExitNow
from supervisor.options import ServerOptions
from supervisor.states import SupervisorStates
from supervisor.supervisord import Supervisor

from koalapanel.env import BASE_DIR
from koalapanel.up import watcher
from koalapanel.up.components import Component
from koalapanel.up.console import Console
from koalapanel.up.worker_ready import READY

LOOP_SECONDS = 0.1  # how soon a signal or the end of a child is noticed
MAX_DEATHS = 5  # of one component …
DEATHS_WITHIN = 60  # … in so many seconds, and `up` gives up


class Manager:
    """The components of one panel. `run()` returns when all of them are gone."""

    def __init__(
        self, components: Iterable[Component], console: Console, on_tick: Callable[[], None]
    ) -> None:
        """`on_tick` is called about ten times a second from the one thread there is."""
        self.components = {component.name: component for component in components}
        self.console = console
        self.failure: str | None = None
        self.ready_workers: set[str] = set()
        self._options = _Options(self, on_tick)
        self._deaths: dict[str, deque[float]] = defaultdict(deque)

    def run(self, var_dir: Path, lock: int) -> None:
        """Until a signal or `stop()`. `lock` is the descriptor that stays open until every child is gone."""
        self._options.configfile = io.StringIO(_config(self.components.values(), var_dir))
        self._options.realize([], doc="")
        self._options.make_logger()
        pipe, self._options.watcher_pipe = os.pipe()
        keeper = subprocess.Popen(  # noqa: S603  (our own file)
            [sys.executable, "-S", "-E", watcher.__file__],
            stdin=pipe,
            pass_fds=[lock],
            start_new_session=True,
        )
        os.close(pipe)
        try:
            with suppress(ExitNow):
                Supervisor(self._options).run()
        finally:
            os.close(self._options.watcher_pipe)
            keeper.wait()

    def start(self, *names: str) -> None:
        """Let these start, now and whenever they die."""
        for group in self._options.process_group_configs:
            for process in group.process_configs:
                if process.name in names:
                    process.autostart = True

    def stop(self, failure: str | None = None) -> None:
        self.failure = self.failure or failure
        self._options.mood = SupervisorStates.SHUTDOWN

    @property
    def is_stopping(self) -> bool:
        stopping: bool = self._options.mood < SupervisorStates.RUNNING
        return stopping

    # --- What the process manager tells us ---------------------------------------------------------------

    def subscribe(self) -> None:
        events.subscribe(events.ProcessLogStdoutEvent, self._heard)
        events.subscribe(events.ProcessCommunicationStdoutEvent, self._told)
        events.subscribe(events.ProcessStateExitedEvent, self._died)
        events.subscribe(events.ProcessStateBackoffEvent, self._died)
        events.subscribe(events.ProcessStateStoppedEvent, self._gone)
        events.subscribe(events.ProcessStateFatalEvent, self._given_up)

    def _heard(self, event: Any) -> None:
        name = event.process.config.name
        if event.data == READY:
            return  # a note to us comes a second time, as output
        self.console.relay(name, event.data, self.components[name].unsaid)

    def _told(self, event: Any) -> None:
        if event.data in (READY, READY.decode()):
            self.ready_workers.add(event.process.config.name)

    def _gone(self, event: Any) -> None:
        """A child has ended, wanted or not: nothing of its process group may live on."""
        name, pid = event.process.config.name, event.process.pid
        self.console.finish(name)
        if pid:
            # The usual case is that all of it has ended (macOS says EPERM while the dead are not reaped).
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            self._options.tell_watcher(b"-%d\n" % pid)

    def _died(self, event: Any) -> None:
        self._gone(event)
        if self.is_stopping:
            return
        name = event.process.config.name
        how = self._options.how_ended(event.process.pid) or event.process.spawnerr
        now, deaths = time.monotonic(), self._deaths[name]
        deaths.append(now)
        while deaths[0] < now - DEATHS_WITHIN:
            deaths.popleft()
        if len(deaths) >= MAX_DEATHS:
            self.stop(f"{name} died {len(deaths)} times within {DEATHS_WITHIN} s ({how}): giving up.")
        else:
            self.console.fact(name, f"died ({how}); restarting")

    def _given_up(self, event: Any) -> None:
        if not self.is_stopping:
            self.stop(f"{event.process.config.name} does not start: giving up.")


class _Options(ServerOptions):  # type: ignore[misc]  # supervisor has no types
    """Supervisord's options and dealings with the system, where ours differ."""

    def __init__(self, manager: Manager, on_tick: Callable[[], None]) -> None:
        super().__init__()
        self.test = False  # set by supervisord's own main(), which we go without
        self.manager = manager
        self.watcher_pipe = -1
        self.poller: Any = _Ticking(self.poller, on_tick)
        self._statuses: dict[int, int] = {}

    def openhttpservers(self, supervisord: Supervisor) -> None:
        """No server; it is the first thing called after supervisor has forgotten all subscribers."""
        self.manager.subscribe()

    def write_pidfile(self) -> None:
        """The lock file names the process."""

    def setsignals(self) -> None:
        super().setsignals()
        receive = self.signal_receiver.receive
        # A closed terminal ends `up`; supervisord would read its configuration again.
        signal.signal(signal.SIGHUP, lambda _, frame: receive(signal.SIGTERM, frame))

    def setpgrp(self) -> None:
        """Called by a child before it becomes another program: from here on the watcher knows of it."""
        super().setpgrp()
        self.tell_watcher(b"+%d\n" % os.getpid())

    def waitpid(self) -> tuple[int | None, int | None]:
        pid, status = super().waitpid()
        if pid:
            self._statuses[pid] = status
        return pid, status

    def tell_watcher(self, line: bytes) -> None:
        # Should somebody have killed the watcher, the children are still stopped in the ordinary way.
        with suppress(OSError):
            os.write(self.watcher_pipe, line)

    def how_ended(self, pid: int) -> str | None:
        """`exit code 1` or `signal SIGKILL`; `None` for a child that never began."""
        status = self._statuses.pop(pid, None)
        if status is None:
            return None
        code = os.waitstatus_to_exitcode(status)
        return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


class _Ticking:
    """Supervisor's poller, which also gives us a turn; a signal would otherwise wait for up to a second."""

    def __init__(self, poller: Any, on_tick: Callable[[], None]) -> None:
        self._poller = poller
        self._on_tick = on_tick

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)

    def poll(self, timeout: float) -> Any:
        self._on_tick()
        return self._poller.poll(min(timeout, LOOP_SECONDS))


def _config(components: Iterable[Component], var_dir: Path) -> str:
    """The components as supervisord's configuration: two groups, stopped one after the other."""
    first = [component for component in components if not component.last_to_stop]
    last = [component for component in components if component.last_to_stop]
    log = var_dir / "logs" / "processes.log"
    log.parent.mkdir(mode=0o700, exist_ok=True)
    lines = [
        *("[supervisord]", "nodaemon=true", "silent=true", "nocleanup=true"),
        *(f"logfile={_escaped(str(log))}", "logfile_maxbytes=1MB", "logfile_backups=1"),
    ]
    for name, priority, group in (("store", 1, last), ("panel", 2, first)):
        if group:
            names = ",".join(component.name for component in group)
            lines += [f"[group:{name}]", f"programs={names}", f"priority={priority}"]
    for component in (*first, *last):
        lines += [
            f"[program:{component.name}]",
            f"command={_escaped(shlex.join(component.command))}",
            f"directory={_escaped(str(BASE_DIR))}",
            *("autostart=false", "autorestart=true", "startsecs=1", f"startretries={MAX_DEATHS}"),
            *(f"stopsignal={component.stop_signal}", f"stopwaitsecs={component.stop_seconds}"),
            *("stopasgroup=false", "killasgroup=true"),
            *("redirect_stderr=true", "stdout_logfile=NONE", "stdout_events_enabled=true"),
            "stdout_capture_maxbytes=1KB",
        ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
