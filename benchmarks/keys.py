"""What a key costs that a process has never met: one query, among a million keys in a real PostgreSQL.

The database is as it comes (128 MB of shared buffers, so most pages come from the system's cache), and a
look-up is what the guard does: the text's checksum and digest, the look whether the connection still lives,
the query, the subject made of its row. A second look-up of the same key must run no SQL.

Beside it, what it costs to tell when each secret was last used: for a request, for a web process that brings
a minute of many active keys to the limit store, and for the worker that writes it down.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import NothingMeasured, arguments
from benchmarks.servers import clean_environment, limit_store, panel_environment
from tests.postgresql import postgresql

SUMMARY = "keys: milliseconds to look up a key that a process has never met, among 1,000,000 in PostgreSQL"
KEYS = 1_000_000
LOOKUPS = 20_000
USED = 50_000
PROMISED_MS = 5.0  # of the 99th in 100
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
LIBRARIES = ("django", "psycopg", "redis", "hiredis")
SMALL_TABLES = {"accounts_tier"}  # which a database rightly reads as a whole


def add_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--issued", type=arguments.positive, default=KEYS, help="keys that there are (%(default)s)"
    )
    group.add_argument(
        "--lookups", type=arguments.positive, default=LOOKUPS, help="of different keys (%(default)s)"
    )


def run(asked: argparse.Namespace) -> bool:
    """Measure and print the table; tells whether what was promised is kept."""
    print(f"{SUMMARY}\n{_machine()}\nload of the machine before: {os.getloadavg()[0]:.1f}\n")
    with ExitStack() as running:
        var_dir = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="koala-bench-")))
        running.enter_context(limit_store(var_dir))
        server = running.enter_context(postgresql(**DURABLE))
        environment = panel_environment(var_dir, server.new_database("keys"))
        lookups = min(asked.lookups, asked.issued)
        texts = _output_of("fill", environment, {"keys": asked.issued, "texts": lookups})
        looked = _output_of("look", environment, texts)
        used = _output_of("use", environment, min(USED, asked.issued))
    if looked["found"] != lookups:
        raise NothingMeasured(f"of {lookups} keys only {looked['found']} were found")
    if used["written"] != min(USED, asked.issued):
        raise NothingMeasured(f"of {USED} last uses {used['written']} were written down")
    print(
        f"{asked.issued:,} keys, {looked['bytes'] / 2**20:,.0f} MB; {lookups:,} of them looked up by chance\n"
    )
    print(f"{'':30}{'p50':>12}{'p99':>12}{'longest':>12}{'queries':>10}")
    for name, times, queries in (
        ("never met (cold)", looked["cold"], looked["cold_statements"]),
        ("met before (warm)", looked["warm"], looked["warm_statements"]),
    ):
        told = "".join(f"{_percentile(times, share) * 1000:9.3f} ms" for share in (50, 99, 100))
        print(f"{name:30}{told}{queries / len(times):10.2f}")
    cpu, database_cpu = (looked[name] / lookups * 1000 for name in ("cpu_seconds", "database_cpu_seconds"))
    print(
        f"\nA cold one takes {cpu:.2f} ms of our processor time and {database_cpu:.2f} ms of the database's,"
    )
    print("which is what a machine with nothing else to do needs at least.")
    is_fast = _percentile(looked["cold"], 99) * 1000 < PROMISED_MS
    is_one_query = looked["cold_statements"] == lookups and looked["warm_statements"] == 0
    is_by_index = _is_by_index(looked["plan"], looked["indexes"])
    print(f"\np99 of the cold path under {PROMISED_MS:g} ms: {_word(is_fast)}.", end=" ")
    print(f"One query when cold, none when warm: {_word(is_one_query)}.")
    print(f"By an index on digests, and no table read as a whole: {_word(is_by_index)}.")
    for step in looked["plan"]:
        print(f"    {step['does']:12} {step['table'] or '':22} {step['index'] or ''}".rstrip())
    _print_uses(used)
    return is_fast and is_one_query and is_by_index


def _print_uses(used: Mapping[str, Any]) -> None:
    (brought, brought_cpu), (booked, booked_cpu) = used["brought"], used["booked"]
    print(f"\nLast uses, of {used['written']:,} secrets in one minute:")
    print(f"    a secret's first request in it {used['first'] * 1e6:6.2f} µs")
    print(f"    each other one                 {used['again'] * 1e6:6.2f} µs")
    print(f"    brought to the limit store     {brought:6.2f} s ({brought_cpu:.2f} s CPU), in the background")
    print(
        f"    written down by the worker     {booked:6.2f} s ({booked_cpu:.2f} s CPU, "
        f"and {used['database_cpu_seconds']:.2f} s of the database)"
    )


def _is_by_index(plan: Sequence[Mapping[str, str | None]], indexes: Sequence[str]) -> bool:
    whole = [step for step in plan if step["does"] == "Seq Scan" and step["table"] not in SMALL_TABLES]
    return not whole and any(step["index"] in indexes for step in plan)


def _percentile(times: Sequence[float], share: int) -> float:
    """The smallest that `share` in 100 of them don't exceed."""
    return sorted(times)[max(0, -(-len(times) * share // 100) - 1)]


def _word(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


def _output_of(module: str, environment: Mapping[str, str], stdin: object) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.lookups.{module}"],
        env={**clean_environment(), **environment},
        input=json.dumps(stdin),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def _machine() -> str:
    versions = ", ".join(f"{library} {version(library)}" for library in LIBRARIES)
    return (
        f"{os.cpu_count()} CPUs, {platform.python_implementation()} {platform.python_version()}, {versions}"
    )
