"""The one-command server: store, database, web, workers and beat, from one terminal."""

import os
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from koalapanel.up import address, components, lock
from koalapanel.up.console import Console
from koalapanel.up.panel import Panel
from koalapanel.up.static_files import collect_if_changed


class Command(BaseCommand):
    help = (
        "Starts a whole panel: an embedded limit store (unless REDIS_URL is set), the web server, two "
        "workers and beat. Migrates first, prints what it started, then one line `ready URL`. What dies is "
        "restarted; Ctrl-C or SIGTERM stops everything within 5 seconds."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--port", type=_port, default=8000, help="to listen on; 0 takes a free one (default: 8000)"
        )
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
        parser.add_argument(
            "--var", metavar="DIR", type=Path, help="where all state is kept (default: VAR_DIR, or var/)"
        )
        parser.add_argument(
            "--demo", action="store_true", help="with sample accounts and live sample traffic"
        )

    def handle(self, *, port: int, host: str, var: Path | None, demo: bool, **options: Any) -> None:
        var_dir: Path = settings.VAR_DIR
        if var is not None and var.resolve() != var_dir:
            raise CommandError(f"--var must be written out: the settings were read for {var_dir}.")
        var_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        console = Console()
        try:
            held = lock.take(var_dir, f"process {os.getpid()}")
            port = address.free_port(host, port)
        except lock.AlreadyRunning as running:
            raise CommandError(f"A panel is already running on {var_dir} ({running}).") from None
        except address.AddressTaken as taken:
            raise CommandError(str(taken)) from None

        # What the children are told; they read their settings anew.
        os.environ["VAR_DIR"] = str(var_dir)
        os.environ["PYTHONUNBUFFERED"] = "1"
        os.environ.setdefault("PYTHONWARNINGS", "ignore:You're running the worker with superuser")
        os.environ["CELERY_SKIP_CHECKS"] = "1"  # this command has run them all, once for everybody
        base_url = os.environ.setdefault("BASE_URL", f"http://{address.reachable(host)}:{port}").rstrip("/")

        embedded = "REDIS_URL" not in os.environ
        parts = [components.web(host, port), components.worker(), components.jobs(), components.beat()]
        if embedded:
            parts.insert(0, components.store(var_dir))
        if demo:
            parts.append(components.sample_traffic())
        console.fact("state", str(var_dir))
        console.fact("database", _without_password(settings.ENV.DATABASE_URL))
        console.fact("limit store", _without_password(settings.LIMITS_URL))
        for part in parts:
            if part.name != "store":
                console.fact(part.name, part.says)
        try:
            call_command("migrate", interactive=False, verbosity=0)
            collect_if_changed()
        except KeyboardInterrupt:
            return
        connections.close_all()

        panel = Panel(
            parts,
            console,
            url=f"http://{address.reachable(host)}:{port}",
            host_header=urlsplit(base_url).netloc,
            demo=demo,
        )
        panel.run(var_dir, held)
        if panel.failure:
            raise CommandError(panel.failure)


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else -1
    if not 0 <= port <= 65535:
        raise ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return port


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    where = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:…@{where}"))
