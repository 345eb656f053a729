"""What a long queue costs those who come: submitting, asking for a job, and picking the next one.

The same code runs on databases with no waiting job and with 100,000, once of 1,000 accounts and once of a
single one, which is the one that submits and asks. They are asked in turn, a few rounds each, so that what
else the machine does is everybody's. On SQLite and on a real PostgreSQL, both as they come.
"""

import argparse
import os
import platform
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from benchmarks import arguments
from benchmarks.answering import Answering, answering
from benchmarks.servers import limit_store, panel_environment
from tests.postgresql import postgresql

SUMMARY = "queue: submitting, polling and picking with 100,000 waiting jobs, as a ratio to none"
JOBS = 100_000
ACCOUNTS = 1_000
ROUNDS = 400
ROUNDS_AT_ONCE = 10
PROMISED_RATIO = 1.5
PROMISED = ("submit", "poll", "pick")
LIBRARIES = ("django", "psycopg")
NOBODY, MANY, ONE = "nobody's", "many accounts'", "one account's"


def add_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--waiting", type=arguments.positive, default=JOBS, help="jobs, in the long queues (%(default)s)"
    )
    group.add_argument("--times", type=arguments.positive, default=ROUNDS, help="each is done (%(default)s)")


def run(asked: argparse.Namespace) -> bool:
    """Measure and print the table; tells whether what was promised is kept."""
    versions = ", ".join(f"{library} {version(library)}" for library in LIBRARIES)
    print(f"{SUMMARY}\n{os.cpu_count()} CPUs, Python {platform.python_version()}, {versions}")
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}\n")
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="koala-bench-")))
        running.enter_context(limit_store(folder))
        server = running.enter_context(postgresql())
        met = [
            _compare("PostgreSQL", folder, asked, server.new_database),
            _compare("SQLite", folder, asked, lambda name: f"sqlite:///{folder / name}.sqlite3"),
        ]
    print(f"Each of {', '.join(PROMISED)} takes less than {PROMISED_RATIO:g} times as long: ", end="")
    print("met." if all(met) else "MISSED.")
    return all(met)


def _compare(
    database: str, folder: Path, asked: argparse.Namespace, new_database: Callable[[str], str]
) -> bool:
    """One database server, with a database for each kind of queue; tells whether the ratios are kept."""
    kinds = {NOBODY: (0, ACCOUNTS), MANY: (asked.waiting, ACCOUNTS), ONE: (asked.waiting, 1)}
    with ExitStack() as running:
        served: dict[str, Answering] = {}
        for number, (kind, (jobs, accounts)) in enumerate(kinds.items()):
            environment = panel_environment(folder, new_database(f"queue{number}"))
            environment["POOL_QUEUE_LIMIT"] = str(2**31)
            served[kind] = running.enter_context(answering("benchmarks.waiting.serve", environment))
            served[kind].ask(jobs=jobs, accounts=accounts)
        times: dict[str, dict[str, list[float]]] = {kind: {} for kind in kinds}
        for turn in range(-(-asked.times // ROUNDS_AT_ONCE) + 1):
            for kind, one in served.items():
                for name, taken in one.ask(rounds=ROUNDS_AT_ONCE).items():
                    if turn:  # the first fills caches
                        times[kind].setdefault(name, []).extend(taken)
    return _print(database, asked.waiting, times)


def _print(database: str, jobs: int, times: Mapping[str, Mapping[str, Sequence[float]]]) -> bool:
    kept = True
    print(f"{database:12}{'empty':>12}{f'{jobs:,} {MANY}':>30}{f'{jobs:,} {ONE}':>30}")
    for name, empty in times[NOBODY].items():
        base = statistics.median(empty)
        row = f"    {name:8}{base * 1000:9.2f} ms"
        for kind in (MANY, ONE):
            median = statistics.median(times[kind][name])
            ratio = median / base
            kept = kept and (ratio < PROMISED_RATIO or name not in PROMISED)
            row += f"{f'{median * 1000:.2f} ms ({ratio:.2f})':>30}"
        print(row)
    print()
    return kept
