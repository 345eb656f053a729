"""Another web process, on the tests' own database and store."""

import subprocess
import sys

from django.conf import settings

from koalapanel.env import BASE_DIR
from tests import databases
from tests.panel import environment
from usage.limits.store import limit_store


class AnotherProcess:
    """Runs `tests.usage.another_process` until its `with` block ends."""

    def __init__(self):
        told = environment(
            VAR_DIR=str(settings.VAR_DIR),
            REDIS_URL=limit_store().url,
            LIMITS_TIMEOUT_MS="1000",
            PYTHONPATH=str(BASE_DIR),
            **databases.of_the_tests(),
        )
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.usage.another_process"],
            cwd=BASE_DIR,
            env=told,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, text, path="/api/v1/conversions", method="GET"):
        """The status of the answer to a request with the key `text`."""
        self.process.stdin.write(f"{method} {path} {text}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
