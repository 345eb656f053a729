"""What the guard costs: requests per second of one view, as it is and behind each of several limiters.

All variants run in the same granian worker configuration on the same Valkey (a Unix socket), one under load
at a time, interleaved in rounds (A B C …, A B C …). A ratio is taken within a round, so that whatever else
the machine does weighs on both sides of it; the table shows medians. The processor time a request takes
stands beside it: that of the web server and that of the store. It tells more than a rate where other
programs are busy too.

The worker has as many blocking threads as `manage.py up` gives it, because one that waits for a conversion
must not keep the others waiting. One thread is where the bare view is fastest (`--threads 1` shows it):
with more of them Python's lock changes hands for every request, and whoever waits for the store anyway loses
less by that.

The load must not be what is measured: it runs in a process of its own, and the last line tells how much of a
core it needed. At 14,000 requests per second that was a quarter.
"""

import argparse
import http.client
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median

import redis

from benchmarks import NothingMeasured, arguments
from benchmarks.load import Order, Spell
from benchmarks.servers import WebServer, clean_environment, limit_store, site_environment, web_server

SUMMARY = "guard: requests per second behind the guard, against a bare view and two libraries"
PATH = "/api/v1/bench"
THREADS = 32  # the default of WEB_THREADS
CONNECTIONS = 8
WARM_UP_SECONDS = 1.0
ENOUGH_HEADROOM = 1.5  # how much faster than the bare view the load must be able to go
LIBRARIES = ("django", "granian", "redis", "hiredis", "django-ratelimit", "django-redis", "limits")


@dataclass(frozen=True)
class Variant:
    """A limiter, the key the load presents, and what must come back.

    `floor` is the promised share of the bare view's rate. `refused_by` is the limit, or the code, that every
    answer must name.
    """

    name: str
    limiter: str
    key: str = "admitted"
    refused_by: str | None = None
    floor: float | None = None

    @property
    def status(self) -> str:
        return "200" if self.refused_by is None else "429"


BARE = Variant("bare Django view", "none")
VARIANTS = (
    BARE,
    Variant("guard, admitted", "guard", floor=0.50),
    Variant("guard, refused by the minute", "guard", key="refused", refused_by="minute", floor=0.65),
    Variant("guard, refused by a known block", "guard", key="blocked", refused_by="blocked", floor=1.2),
    Variant("django-ratelimit, two decorators", "ratelimit"),
    Variant("limits, two windows, test and hit", "limits"),
    Variant("limits, two windows, only hit", "limits-hit"),
)


class WrongAnswer(NothingMeasured):
    """A variant answered something else than it is measured for."""


@dataclass
class Results:
    """One variant's rounds: requests per second, and their share of the bare view's; per request the CPU
    time in µs of the web server and of the store, and how often the store read."""

    rates: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    web_cpu: list[float] = field(default_factory=list)
    store_cpu: list[float] = field(default_factory=list)
    store_reads: list[float] = field(default_factory=list)


def add_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--seconds", type=arguments.seconds, default=2.0, help="of load per variant and round (%(default)s)"
    )
    group.add_argument(
        "--rounds", type=arguments.positive, default=7, help="of all variants, interleaved (%(default)s)"
    )
    group.add_argument(
        "--threads", type=arguments.positive, default=THREADS, help="of the web worker (%(default)s)"
    )
    group.add_argument(
        "--connections", type=arguments.positive, default=CONNECTIONS, help="kept alive (%(default)s)"
    )


def run(asked: argparse.Namespace) -> bool:
    """Measure and print the table; tells whether every promised floor was met."""
    seconds, rounds, threads, connections = asked.seconds, asked.rounds, asked.threads, asked.connections
    print(f"{SUMMARY}\n{_machine()}")
    print(
        f"1 worker, {threads} blocking threads, {connections} connections, {rounds} rounds of {seconds:g} s\n"
    )
    results = {variant: Results() for variant in VARIANTS}
    bare_spells: list[Spell] = []
    with _site(threads) as site:
        for variant in VARIANTS:
            site.load(variant, connections, WARM_UP_SECONDS)
        for _ in range(rounds):
            for variant in VARIANTS:
                before = site.meters(variant)
                spell = site.load(variant, connections, seconds)
                if variant is BARE:
                    bare_spells.append(spell)
                result = results[variant]
                result.rates.append(spell.per_second)
                result.ratios.append(spell.per_second / bare_spells[-1].per_second)
                used = [now - then for now, then in zip(site.meters(variant), before, strict=True)]
                result.web_cpu.append(used[0] / spell.answers * 1e6)
                result.store_cpu.append(used[1] / spell.answers * 1e6)
                result.store_reads.append(used[2] / spell.answers)
    _print_table(results)
    _print_headroom(bare_spells)
    return all(_is_met(variant, result) for variant, result in results.items())


@dataclass(frozen=True)
class Site:
    """The running servers: one per limiter, the keys by name, the store they share."""

    servers: Mapping[str, WebServer]
    keys: Mapping[str, str]
    store: redis.Redis

    def load(self, variant: Variant, connections: int, seconds: float) -> Spell:
        """Raises `WrongAnswer` if anything but what the variant stands for comes back."""
        port, authorization = self.servers[variant.limiter].port, f"Bearer {self.keys[variant.key]}"
        _probe(variant, port, authorization)
        head = f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {authorization}\r\n\r\n"
        spell = _spell(Order(port, head, connections, seconds))
        others = {status: count for status, count in spell.statuses.items() if status != variant.status}
        if variant.refused_by == "minute":
            # The minute's one request is admitted, in every minute that the spell touched.
            admitted = others.pop("200", 0)
            if admitted > spell.seconds // 60 + 2:
                others["200"] = admitted
        if "503" in others:
            raise WrongAnswer(f"{variant.name}: the limit store kept the guard waiting; is the machine busy?")
        if others:
            raise WrongAnswer(f"{variant.name}: {variant.status} was due, but also came {others}")
        return spell

    def meters(self, variant: Variant) -> tuple[float, float, float]:
        """So far: CPU seconds of the variant's web server and of the store, and the store's reads.

        The store reads once a round trip, however long the pipeline.
        """
        cpu, stats = self.store.info("cpu"), self.store.info("stats")
        store_cpu = float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])
        return self.servers[variant.limiter].cpu_seconds(), store_cpu, float(stats["total_reads_processed"])


@contextmanager
def _site(threads: int) -> Iterator[Site]:
    """Everything under a temporary directory, which goes with the last server."""
    with tempfile.TemporaryDirectory(prefix="koala-bench-") as directory, ExitStack() as running:
        var_dir = Path(directory)
        store = running.enter_context(limit_store(var_dir))
        keys = json.loads(_output_of("benchmarks.site.prepare", site_environment(var_dir, "none")))
        servers = {
            limiter: running.enter_context(web_server(var_dir, limiter, threads))
            for limiter in dict.fromkeys(variant.limiter for variant in VARIANTS)
        }
        yield Site(servers, keys, store)


def _probe(variant: Variant, port: int, authorization: str) -> None:
    """One request, looked at closely: a refusal must name the limit that the variant is about."""
    for _ in range(2):  # of a refused variant's requests, a minute's first is admitted
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", PATH, headers={"Authorization": authorization})
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        if variant.refused_by is None or response.status == 429:
            break
    if str(response.status) != variant.status or (
        variant.refused_by is not None
        and variant.refused_by not in (json.loads(body).get("limit"), json.loads(body)["code"])
    ):
        raise WrongAnswer(
            f"{variant.name}: {variant.status} was due, but came {response.status} {body[:500]}"
        )


def _spell(order: Order) -> Spell:
    """Given by a process of its own, so that the load shares no interpreter with anything."""
    answer = json.loads(_output_of("benchmarks.load", {}, stdin=json.dumps(asdict(order))))
    return Spell(**answer)


def _output_of(module: str, environment: Mapping[str, str], stdin: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-m", module],
        env={**clean_environment(), **environment},
        input=stdin,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def _machine() -> str:
    versions = ", ".join(f"{library} {version(library)}" for library in LIBRARIES)
    return (
        f"{os.cpu_count()} CPUs, {platform.python_implementation()} {platform.python_version()}, {versions}"
    )


def _print_table(results: Mapping[Variant, Results]) -> None:
    columns = f"{'web µs':>8}{'store µs':>10}{'reads':>7}"
    print(f"{'':34}{'requests/s':>24}{'of the bare view':>23}{columns}  promised")
    for variant, result in results.items():
        promised = ""
        if variant.floor is not None:
            promised = f"{variant.floor:.2f} {'met' if _is_met(variant, result) else 'MISSED'}"
        print(
            f"{variant.name:34}{_spread(result.rates, '.0f'):>24}{_spread(result.ratios, '.2f'):>23}"
            f"{median(result.web_cpu):8.0f}{median(result.store_cpu):10.0f}{median(result.store_reads):7.2f}"
            f"  {promised}".rstrip()
        )
    print("\nMedian (lowest to highest). Per request: CPU time of the web server and of the store, and how")
    print("often the store read from a connection (once a round trip).")


def _print_headroom(bare_spells: Sequence[Spell]) -> None:
    share = median(spell.cpu_share for spell in bare_spells)
    print(f"The load took {share:.0%} of a core at the bare view: it can go {1 / share:.1f} times as fast.")
    if share * ENOUGH_HEADROOM > 1:
        print(
            "That is TOO LITTLE: the load holds the bare view back, and every ratio looks better than it is."
        )


def _spread(numbers: Sequence[float], form: str) -> str:
    return f"{median(numbers):{form}} ({min(numbers):{form}} to {max(numbers):{form}})"


def _is_met(variant: Variant, result: Results) -> bool:
    return variant.floor is None or median(result.ratios) >= variant.floor
