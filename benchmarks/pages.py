"""What the panel's pages take: each opened on a large database and, by turns, on a small one.

Real PostgreSQL and Valkey; the seconds are those of the web process and of what it waits for, from the
request to the whole answer: every middleware and template, without the network. The customer whose pages are
opened is a busy one, with a row for each minute of the week.
"""

import argparse
import os
import platform
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from benchmarks import NothingMeasured, arguments
from benchmarks.answering import Answering, answering
from benchmarks.servers import limit_store, panel_environment
from tests.pages import PAGES, Page
from tests.postgresql import postgresql

SUMMARY = "pages: server time and SQL queries of every page, with 100,000 keys as a ratio to 100"
KEYS, ROWS = 100_000, 10_000_000
FEW_KEYS, FEW_ROWS = 100, 10_000
OPENED = 60
AT_ONCE = 10
WARM_UP = 3
PROMISED_MS = 50.0  # of the 95th in 100
PROMISED_QUERIES = 12
PROMISED_RATIO = 1.3
LIBRARIES = ("django", "psycopg", "redis")


def add_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--panel-keys", type=arguments.positive, default=KEYS, help="of the large panel (%(default)s)"
    )
    group.add_argument(
        "--minute-rows", type=arguments.positive, default=ROWS, help="of the large panel (%(default)s)"
    )
    group.add_argument("--opened", type=arguments.positive, default=OPENED, help="times (%(default)s)")
    group.add_argument("--only", default="", help="pages whose name has this in it")


def run(asked: argparse.Namespace) -> bool:
    """Measure and print the table; tells whether what was promised is kept."""
    versions = ", ".join(f"{library} {version(library)}" for library in LIBRARIES)
    print(f"{SUMMARY}\n{os.cpu_count()} CPUs, Python {platform.python_version()}, {versions}")
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}\n")
    with ExitStack() as running:
        server = running.enter_context(postgresql(shared_buffers="1GB"))
        panels: list[Answering] = []
        for name, keys, rows in (
            ("small", FEW_KEYS, FEW_ROWS),
            ("large", asked.panel_keys, asked.minute_rows),
        ):
            folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="koala-bench-")))
            running.enter_context(limit_store(folder))
            environment = panel_environment(folder, server.new_database(name))
            environment["DJANGO_SETTINGS_MODULE"] = "benchmarks.panel.settings"
            panel = running.enter_context(answering("benchmarks.panel.serve", environment))
            made = panel.ask(keys=keys, minute_rows=rows)
            print(f"{name}: {keys:,} keys, {made['rows']:,} minute rows")
            panels.append(panel)
        print(f"\n{'':24}{'p50':>9}{'p95':>9}{'queries':>9}{'small p95':>12}{'ratio of p50':>14}")
        pages = [page for page in PAGES if asked.only in page.name]
        met = [_measure(page, panels[0], panels[1], asked.opened) for page in pages]
    print(
        f"\nEach page's p95 under {PROMISED_MS:g} ms, at most {PROMISED_QUERIES} queries, and less than "
        f"{PROMISED_RATIO:g} times what it takes on the small panel: {'met' if all(met) else 'MISSED'}."
    )
    return all(met)


def _measure(page: Page, small: Answering, large: Answering, opened: int) -> bool:
    times: dict[Answering, list[float]] = {small: [], large: []}
    queries = 0
    for turn in range(-(-opened // AT_ONCE) + 1):
        for panel in (small, large):
            told = panel.ask(page=page.address, seen=page.seen, times=AT_ONCE if turn else WARM_UP)
            if told["status"] != 200:
                raise NothingMeasured(f"{told['address']} was answered with {told['status']}")
            if turn:  # the first fills caches
                times[panel] += told["taken"]
                queries = max(queries, told["queries"])
    p50, p95 = _percentile(times[large], 50), _percentile(times[large], 95)
    ratio = p50 / _percentile(times[small], 50)
    is_met = p95 * 1000 < PROMISED_MS and queries <= PROMISED_QUERIES and ratio < PROMISED_RATIO
    print(
        f"{page.name:24}{p50 * 1000:6.1f} ms{p95 * 1000:6.1f} ms{queries:9}"
        f"{_percentile(times[small], 95) * 1000:9.1f} ms{ratio:14.2f}{'' if is_met else '  MISSED'}"
    )
    return is_met


def _percentile(times: Sequence[float], share: int) -> float:
    """The smallest that `share` in 100 of them don't exceed."""
    return sorted(times)[max(0, -(-len(times) * share // 100) - 1)]
