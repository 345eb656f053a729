"""Have so many secrets be used in one minute, and write that down; prints, as JSON, what it took.

Asked by a number on standard input.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import django
import psutil  # type: ignore[import-untyped]


def main() -> None:
    django.setup()

    from django.conf import settings
    from django.db import connection

    from accounts.models import KeySecret
    from usage.books.last_used import book_last_uses
    from usage.guard.local_hits import LocalHits
    from usage.guard.used_secrets import UsedSecrets
    from usage.limits.store import LimitStore

    number: int = json.load(sys.stdin)
    store = LimitStore(settings.LIMITS_URL, timeout=5)
    hits = LocalHits(store)
    hits.begin = lambda: None  # type: ignore[method-assign]  # it is brought when we say so
    used = UsedSecrets(store, hits)
    secrets = list(
        KeySecret.objects.filter(retires_at=None).order_by("?").values_list("pk", flat=True)[:number]
    )
    now = int(time.time())
    backend = psutil.Process(connection.connection.info.backend_pid)
    # The second time is measured: rows have been written before.
    for at in (now - 60, now):
        first, again = _took(_note, used, secrets, at), _took(_note, used, secrets, at)
        brought = _took(used.flush)
        before = sum(backend.cpu_times()[:2])
        booked = _took(book_last_uses, store)
        measured: dict[str, Any] = {
            "first": first[0] / number,
            "again": again[0] / number,
            "brought": brought,
            "booked": booked,
            "database_cpu_seconds": sum(backend.cpu_times()[:2]) - before,
        }
    minute_start = now - now % 60
    measured["written"] = sum(
        at is not None and int(at.timestamp()) == minute_start
        for at in KeySecret.objects.exclude(last_used_at=None).values_list("last_used_at", flat=True)
    )
    json.dump(measured, sys.stdout)


def _note(used: Any, secrets: list[int], at: int) -> None:
    for secret in secrets:
        used.note(secret, at)


def _took(do: Callable[..., object], *words: object) -> tuple[float, float]:
    """Seconds, and seconds of our processor time."""
    began, cpu = time.perf_counter(), time.process_time()
    do(*words)
    return time.perf_counter() - began, time.process_time() - cpu


if __name__ == "__main__":
    main()
