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
    from usage.books import booking, totals
    from usage.limits.store import LimitStore
    from usage.models import (
        Notice,
        RateHit,
        TotalledUntil,
        UsageDay,
        UsageHour,
        UsageMinute,
        UsageTotal,
    )
    from usage.models.usage import COUNTS
    from usage.spans import minute_start
    from usage.subjects import BUCKETS

    store = LimitStore(settings.LIMITS_URL, timeout=5, clock=lambda: BOOKED_AT)
    connection.ensure_connection()
    forget_peak()
    backend = psutil.Process(connection.connection.info.backend_pid)
    before, cpu, database_cpu = peak_bytes(), time.process_time(), sum(backend.cpu_times()[:2])
    began = time.perf_counter()
    rows = booking.book_closed_minutes(store)
    seconds = time.perf_counter() - began
    measured: dict[str, Any] = {
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "database_cpu_seconds": sum(backend.cpu_times()[:2]) - database_cpu,
        "rows": rows,
        "growth": peak_bytes() - before,
        "notices": Notice.objects.count(),
    }
    sums = {name: Sum(name) for name in COUNTS}
    # What was booked before isn't to be summed up now: in production it was, minute by minute.
    TotalledUntil.objects.bulk_create(
        TotalledUntil(bucket=bucket, minute=LAST_MINUTE - 1) for bucket in range(BUCKETS)
    )
    began = time.perf_counter()
    totals.total_what_is_booked()
    measured["total_seconds"] = time.perf_counter() - began
    total = UsageTotal.objects.filter(start__gte=minute_start(LAST_MINUTE // 60 * 60))
    measured["totals"] = total.aggregate(**sums)
    hour = UsageHour.objects.filter(start=minute_start(LAST_MINUTE // 60 * 60))
    measured["hour"] = hour.aggregate(**sums)
    minute = UsageMinute.objects.filter(start=minute_start(LAST_MINUTE))
    measured["minute"] = minute.aggregate(**sums)
    measured["hours"] = UsageHour.objects.aggregate(**sums)
    measured["days"] = UsageDay.objects.aggregate(**sums)
    measured["hits"] = RateHit.objects.exclude(user_agent="").aggregate(n=Sum("count"))["n"]
    json.dump(measured, sys.stdout)


def forget_peak() -> None:
    """Begin the peak of this process's memory anew. (`ru_maxrss` would be that of its parent, too.)"""
    Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """The most memory this process has had since then."""
    status = Path("/proc/self/status").read_text()
    peaks = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(peaks[0]) * 1024


if __name__ == "__main__":
    main()
