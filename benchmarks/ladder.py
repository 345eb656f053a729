"""What the ladder does to clients in the long run, and what it costs each decision.

The long runs happen on the real script in a real Valkey, on a driven clock. The script runs for every request
outside of a block; those within one change nothing and are only counted. So do many requests in one call of
the store: what they mean to the ladder is not changed by the way there.

The cost is that of `decide.lua` against itself as it was before there was a ladder, by turns in one run. A
ratio is taken within a round; the table shows medians.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import arguments
from benchmarks.servers import clean_environment, limit_store

SUMMARY = "ladder: whom it blocks and when, and what it adds to the time of a decision"
ROUNDS = 40
CALLS = 1_000  # of each script in a round
PROMISED_RATIO = 1.10
PROMISED_SERVED = 800  # of a client that hammers until it is suspended
BLOCKED_IN = [4, 12, 75]  # minutes, about
SUSPENDED_AT = 25.3  # hours, about
SUBJECTS = {"ordinary": "ordinary keys", "risen": "on tier 3 after its block"}


def add_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--ladder-rounds", type=arguments.positive, default=ROUNDS, help="of timed decisions (%(default)s)"
    )


def run(asked: argparse.Namespace) -> bool:
    """Measure and print both tables; tells whether what was promised is kept."""
    machine = f"{os.cpu_count()} CPUs, {platform.python_implementation()} {platform.python_version()}"
    print(f"{SUMMARY}\n{machine}, redis {version('redis')}, hiredis {version('hiredis')}\n")
    with tempfile.TemporaryDirectory(prefix="koala-bench-") as var_dir, limit_store(Path(var_dir)) as store:
        environment = {"DJANGO_SETTINGS_MODULE": "koalapanel.settings", "VAR_DIR": var_dir}
        played = _output_of("benchmarks.climbs.play", environment)
        store.flushall()
        cost = _output_of("benchmarks.climbs.cost", environment, str(asked.ladder_rounds), str(CALLS))
    climbs = _print_climbs(played)
    print()
    return _print_cost(cost) and climbs


def _print_climbs(played: list[dict[str, Any]]) -> bool:
    """The long runs; tells whether they went as promised."""
    print("A limit of 60 a minute.")
    print(
        f"{'':38}{'blocked in minutes':>20}{'suspended at':>14}{'served':>9}{'refused':>9}"
        f"{'highest tier':>14}{'script runs':>13}"
    )
    for one in played:
        blocked = ", ".join(map(str, one["minutes"])) or "never"
        suspended = "never" if one["suspended_at"] is None else f"{one['suspended_at'] / 3600:.2f} h"
        print(
            f"{one['name']:38}{blocked:>20}{suspended:>14}{one['served']:9,}{one['refused']:9,}"
            f"{one['highest']:14}{one['sent']:13,}"
        )
    hammering, *others = played
    suspended_at = (hammering["suspended_at"] or 0) / 3600
    met = {
        "the one that hammers": (
            hammering["minutes"] == BLOCKED_IN
            and abs(suspended_at - SUSPENDED_AT) < 0.1
            and hammering["served"] <= PROMISED_SERVED
        ),
        "the others stay at tier 1": all(one["highest"] <= 1 for one in others),
    }
    print("\n" + ", ".join(f"{what}: {'met' if kept else 'MISSED'}" for what, kept in met.items()) + ".")
    print("(Requests within a block change nothing: they are counted as refused, and the script isn't run.)")
    return all(met.values())


def _print_cost(cost: dict[str, list[dict[str, dict[str, float]]]]) -> bool:
    """What the ladder adds; tells whether it is as little as promised."""
    print(
        f"{'a decision that admits, in µs':38}{'without':>10}{'with it':>10}{'ratio':>8}{'in the store':>22}"
    )
    ratios = []
    for name, pairs in cost.items():
        seen, used = (
            {which: median(pair[which][meter] for pair in pairs) for which in ("without", "with")}
            for meter in ("seen", "used")
        )
        ratio, ratio_used = (
            median(pair["with"][meter] / pair["without"][meter] for pair in pairs)
            for meter in ("seen", "used")
        )
        ratios.append(ratio)
        print(
            f"{SUBJECTS[name]:38}{seen['without']:10.1f}{seen['with']:10.1f}{ratio:8.3f}"
            f"{used['without']:9.1f} → {used['with']:4.1f} {ratio_used:5.2f}"
        )
    met = max(ratios) <= PROMISED_RATIO
    print(f"\nAt most {PROMISED_RATIO - 1:.0%} more: {'met' if met else 'MISSED'}.")
    return met


def _output_of(module: str, environment: Mapping[str, str], *words: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        env={**clean_environment(), **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)
