"""What the books cost: a minute of many active keys, brought from a real Valkey to a real PostgreSQL.

The minute is a day's last. In the worst case each key was active in every minute of that day, so the most
there is has to be summed up. The database is as durable as in production.
Memory is what the booking process grew by at its peak; it must not follow the number of keys.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import NothingMeasured, arguments
from benchmarks.servers import clean_environment, limit_store, panel_environment
from tests.postgresql import postgresql

SUMMARY = "flush: seconds to book one minute of 50,000 active keys into PostgreSQL"
SUBJECTS = 50_000
FEW = 10  # times fewer keys, to compare the memory with
PROMISED_SECONDS = 20.0
PROMISED_GROWTH = 1.5  # times that of a tenth of the keys, and no less than …
NO_GROWTH = 16 * 1024 * 1024  # … what tells nothing
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
REST_OF_DAY = 24 * 60 - 1
LIBRARIES = ("django", "psycopg", "redis", "hiredis")


@dataclass(frozen=True)
class Case:
    """So many active keys, and in how many minutes before they were as well."""

    subjects: int
    minutes_before: int

    def __str__(self) -> str:
        before = "all of the day before it" if self.minutes_before else "nothing before it"
        return f"{self.subjects:,} keys, {before}"


def add_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--keys", type=arguments.positive, default=SUBJECTS, help="active in the minute (%(default)s)"
    )


def run(asked: argparse.Namespace) -> bool:
    """Measure and print the table; tells whether what was promised is kept."""
    print(f"{SUMMARY}\n{machine()}\nload of the machine before: {os.getloadavg()[0]:.1f}\n")
    cases = [Case(asked.keys // FEW or 1, 0), Case(asked.keys, 0), Case(asked.keys, REST_OF_DAY)]
    with ExitStack() as running:
        var_dir = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="koala-bench-")))
        running.enter_context(limit_store(var_dir))
        server = running.enter_context(postgresql(**DURABLE))
        environment = panel_environment(var_dir, server.new_database("books"))
        measured = {case: _measure(case, environment) for case in cases}
    columns = f"{'seconds':>9}{'CPU':>7}{'SQL CPU':>9}{'rows':>9}{'rows/s':>9}{'memory':>10}{'emails':>8}"
    print(f"{'':42}{columns}{'totals':>9}")
    for case, result in measured.items():
        seconds, rows, growth = result["seconds"], result["rows"], result["growth"] / 2**20
        print(
            f"{case!s:42}{seconds:9.1f}{result['cpu_seconds']:7.1f}{result['database_cpu_seconds']:9.1f}"
            f"{rows:9,}{rows / seconds:9,.0f}"
            f"{growth:7.1f} MB{result['notices']:8,}{result['total_seconds']:7.2f} s"
        )
    slowest: float = max(result["seconds"] for result in measured.values())
    growths: list[int] = [result["growth"] for result in measured.values()]
    allowed = max(growths[0], NO_GROWTH) * PROMISED_GROWTH
    is_fast, is_flat = slowest < PROMISED_SECONDS, max(growths) <= allowed
    print(f"\nUnder {PROMISED_SECONDS:g} s: {'met' if is_fast else 'MISSED'}.", end=" ")
    print(f"Flat memory (at most {allowed / 2**20:.0f} MB): {'met' if is_flat else 'MISSED'}.")
    print("Rows are those of minutes and hits; as many hours and days as minutes are summed up besides.")
    print(
        "Seconds of CPU are the worker's, and those of the database's process that serves it. Together they"
    )
    print("are what a machine with nothing else to do needs at least.")
    return is_fast and is_flat


def _measure(case: Case, environment: Mapping[str, str]) -> dict[str, Any]:
    filled = _output_of("benchmarks.books.fill", environment, json.dumps(asdict(case)))
    booked = _output_of("benchmarks.books.book", environment)
    admitted, hits = filled["admitted"], filled["minute"] + filled["concurrent"]
    minute, hours, days = (
        (sums["admitted"], sums["minute_hits"] + sums["concurrent_hits"])
        for sums in (booked["minute"], booked["hours"], booked["days"])
    )
    day = (admitted + case.subjects * case.minutes_before, hits)
    is_booked = (minute, hours, days, booked["hits"]) == ((admitted, hits), day, day, hits)
    if not is_booked or booked["totals"] != booked["hour"]:
        raise NothingMeasured(f"{case}: {filled} was to be booked, but the books say {booked}")
    return booked


def _output_of(module: str, environment: Mapping[str, str], stdin: str = "") -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", module],
        env={**clean_environment(), **environment},
        input=stdin,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    output: dict[str, Any] = json.loads(done.stdout)
    return output


def machine() -> str:
    versions = ", ".join(f"{library} {version(library)}" for library in LIBRARIES)
    return (
        f"{os.cpu_count()} CPUs, {platform.python_implementation()} {platform.python_version()}, {versions}"
    )
