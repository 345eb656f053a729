"""Book what `benchmarks.books.fill` put there; prints, as JSON, how long it took and what it needed."""

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import django
import psutil  # type: ignore[import-untyped]


def main() -> None:
    django.setup()

    from django.conf import settings
    from django.db import connection
    from django.db.models import Sum

    from benchmarks.books.day import BOOKED_AT, LAST_MINUTE
    from usage.books import booking
    from usage.limits.store import LimitStore
    from usage.models import Notice, RateHit, UsageDay, UsageHour, UsageMinute
    from usage.models.usage import COUNTS
    from usage.spans import minute_start

    store = LimitStore(settings.LIMITS_URL, timeout=5, clock=lambda: BOOKED_AT)
    connection.ensure_connection()
    _forget_peak()
    backend = psutil.Process(connection.connection.info.backend_pid)
    before, cpu, database_cpu = _peak_bytes(), time.process_time(), sum(backend.cpu_times()[:2])
    began = time.perf_counter()
    rows = booking.book_closed_minutes(store)
    seconds = time.perf_counter() - began
    measured: dict[str, Any] = {
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "database_cpu_seconds": sum(backend.cpu_times()[:2]) - database_cpu,
        "rows": rows,
        "growth": _peak_bytes() - before,
        "notices": Notice.objects.count(),
    }
    minute = UsageMinute.objects.filter(start=minute_start(LAST_MINUTE))
    sums = {name: Sum(name) for name in COUNTS}
    measured["minute"] = minute.aggregate(**sums)
    measured["hours"] = UsageHour.objects.aggregate(**sums)
    measured["days"] = UsageDay.objects.aggregate(**sums)
    measured["hits"] = RateHit.objects.exclude(user_agent="").aggregate(n=Sum("count"))["n"]
    json.dump(measured, sys.stdout)


def _forget_peak() -> None:
    """Begin the peak of this process's memory anew. (`ru_maxrss` would be that of its parent, too.)"""
    Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    """The most memory this process has had since then."""
    status = Path("/proc/self/status").read_text()
    peaks = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(peaks[0]) * 1024


if __name__ == "__main__":
    main()
