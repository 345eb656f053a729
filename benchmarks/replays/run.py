"""Replay what `benchmarks.replays.fill` put there, as the worker does; prints, as JSON, what it took.

Asked by a JSON object on standard input: about, slug, and what is proposed over what is in force.
"""

import json
import sys
import time

import django
import psutil  # type: ignore[import-untyped]

from benchmarks.books.book import forget_peak, peak_bytes
from benchmarks.replays.week import NOW


def main() -> None:
    django.setup()
    asked = json.load(sys.stdin)

    from django.db import connection

    from accounts.models import Tier
    from usage.escalation.policy import read_ladder
    from usage.models import Replay
    from usage.replay import numbers, running

    if asked["about"] == Replay.Subject.LADDER:
        current = numbers.of_ladder(read_ladder())
    else:
        current = numbers.of_limits(Tier.objects.get(slug=asked["slug"]).limits)
    row = Replay.objects.create(
        about=asked["about"], slug=asked["slug"], current=current, proposed=current | asked["proposed"]
    )
    backend = psutil.Process(connection.connection.info.backend_pid)
    forget_peak()
    before, cpu, database_cpu = peak_bytes(), time.process_time(), sum(backend.cpu_times()[:2])
    began = time.perf_counter()
    running.run_next(NOW)
    seconds = time.perf_counter() - began
    measured = {
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "database_cpu_seconds": sum(backend.cpu_times()[:2]) - database_cpu,
        "growth": peak_bytes() - before,
    }
    row.refresh_from_db()
    if row.result is None:
        raise SystemExit(f"It ended as {row.status}: {row.error}")
    json.dump(measured | {"result": row.result}, sys.stdout)


if __name__ == "__main__":
    main()
