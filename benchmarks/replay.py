"""What a replay costs: a week of 10,000 keys in a real PostgreSQL, replayed as the worker does it.

Two weeks. In the first, one key in twenty overdoes it, most of the time, so that most are never looked at
closely; in the second, every key does for half an hour, and is limited and escalated by either limit. In both
a tier's limit is lowered, and the ladder is made stricter. The database is as durable as in production.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import NothingMeasured, arguments
from benchmarks.flush import DURABLE, machine
from benchmarks.servers import clean_environment, panel_environment
from tests.postgresql import postgresql

SUMMARY = "replay: seconds to replay 7 days of 10,000 keys from PostgreSQL"
KEYS = 10_000
PROMISED_SECONDS = 5.0
PROMISED_GROWTH = 64 * 1024 * 1024
RUNS = 3


@dataclass(frozen=True)
class Week:
    """So many keys, each with so many sessions of some minutes; some of a hundred keys overdo it in some."""

    keys: int
    sessions: int
    minutes_each: int
    percent_overdoing: int
    bad_sessions: int

    def __str__(self) -> str:
        overdo = f"overdo {self.bad_sessions} of {self.sessions} sessions"
        return f"{self.percent_overdoing} % of {self.keys:,} keys {overdo}"


# What is proposed over what is in force: 20 a minute instead of 30, and 3 refusals for a strike instead of 5.
PROPOSALS: dict[str, dict[str, Any]] = {
    "free: 20 a minute": {"about": "tier", "slug": "free", "proposed": {"minute": 20}},
    "ladder: 3 refusals": {"about": "ladder", "slug": "", "proposed": {"strike_refusals": 3}},
}


def add_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--replayed-keys", type=arguments.positive, default=KEYS, help="with a week each (%(default)s)"
    )


def run(asked: argparse.Namespace) -> bool:
    """Measure and print the table; tells whether what was promised is kept."""
    print(f"{SUMMARY}\n{machine()}\nload of the machine before: {os.getloadavg()[0]:.1f}\n")
    weeks = [Week(asked.replayed_keys, 5, 30, 5, 3), Week(asked.replayed_keys, 5, 30, 100, 1)]
    measured: list[dict[str, Any]] = []
    columns = (
        f"{'rows':>10}{'seconds':>16}{'CPU':>6}{'SQL CPU':>9}{'memory':>9}{'limited':>17}{'escalated':>17}"
    )
    print(f"{'':66}{columns}")
    with ExitStack() as running:
        var_dir = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="koala-bench-")))
        environment = panel_environment(
            var_dir, running.enter_context(postgresql(**DURABLE)).new_database("books")
        )
        for week in weeks:
            rows = _output_of("benchmarks.replays.fill", environment, asdict(week))["rows"]
            for name, proposal in PROPOSALS.items():
                runs = [_output_of("benchmarks.replays.run", environment, proposal) for _ in range(RUNS)]
                _check(runs[0]["result"], week, rows)
                measured += runs
                print(f"{f'{week}; {name}':66}{rows:10,}{_in_words(runs)}", flush=True)
    slowest: float = max(one["seconds"] for one in measured)
    growth: int = max(one["growth"] for one in measured)
    is_fast, is_flat = slowest < PROMISED_SECONDS, growth <= PROMISED_GROWTH
    print(f"\nUnder {PROMISED_SECONDS:g} s: {'met' if is_fast else 'MISSED'} (slowest: {slowest:.1f} s).")
    print(f"At most {PROMISED_GROWTH / 2**20:.0f} MB more memory: {'met' if is_flat else 'MISSED'}.")
    print(f"Rows are minutes; seconds are the fastest and the slowest of {RUNS} runs, CPU the slowest's.")
    print("CPU and SQL CPU together are what a machine with nothing else to do needs.")
    print("Limited and escalated: keys, under what is in force → as proposed.")
    return is_fast and is_flat


def _in_words(runs: list[dict[str, Any]]) -> str:
    runs = sorted(runs, key=lambda one: one["seconds"])
    slowest, result = runs[-1], runs[0]["result"]
    seconds = f"{runs[0]['seconds']:.2f} to {slowest['seconds']:.2f}"
    changes = (
        f"{result['current'][name]:,} → {result['proposed'][name]:,}" for name in ("limited", "escalated")
    )
    limited, escalated = changes
    return (
        f"{seconds:>16}{slowest['cpu_seconds']:6.1f}{slowest['database_cpu_seconds']:9.1f}"
        f"{slowest['growth'] / 2**20:6.1f} MB{limited:>17}{escalated:>17}"
    )


def _check(result: dict[str, Any], week: Week, rows: int) -> None:
    """It has to have read all that was there, and found those who overdid it."""
    found = result["subjects"], result["minutes"], len(result["days"])
    if found != (week.keys, rows, 7):
        raise NothingMeasured(
            f"{week}: the replay was of {found[0]} keys, {found[1]} minutes, {found[2]} days"
        )


def _output_of(module: str, environment: Mapping[str, str], asked: Mapping[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", module],
        env={**clean_environment(), **environment},
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    output: dict[str, Any] = json.loads(done.stdout)
    return output
