"""A process of ours that answers questions: a JSON value on a line each, until its `with` block ends."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from benchmarks import NothingMeasured
from benchmarks.servers import clean_environment


class Answering:
    """A running one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, **question: Any) -> Any:
        """Its answer; raises `NothingMeasured` if it has ended."""
        assert self._process.stdin is not None  # noqa: S101  (both are pipes)
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise NothingMeasured("one of the processes that were asked has ended")
        return json.loads(answer)


@contextmanager
def answering(module: str, environment: Mapping[str, str]) -> Iterator[Answering]:
    """`python -m module`, under these variables beside ours."""
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        env={**clean_environment(), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Answering(process)
    finally:
        process.terminate()
        process.wait()
