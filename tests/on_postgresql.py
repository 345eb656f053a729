"""The tests on PostgreSQL: `python -m tests.on_postgresql [pytest's arguments]`.

Those that use no database are left out, because they pass or fail as they do without: see `tests.conftest`.
"""

import os
import signal
import sys

import pytest

from tests.postgresql import postgresql


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leaves the `with` block, as Ctrl-C does
    try:
        with postgresql() as server:
            os.environ["TESTS_DATABASE_URL"] = server.url("koalapanel")
            ended = pytest.main(arguments)
    except KeyboardInterrupt:
        return pytest.ExitCode.INTERRUPTED
    # Those that were asked for may all use no database.
    return 0 if ended == pytest.ExitCode.NO_TESTS_COLLECTED else ended


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
