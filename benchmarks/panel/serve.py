"""Opens a panel's pages inside its own process and tells what each took: see `benchmarks.pages`.

Asked by JSON on lines of standard input. First `keys` and `minute_rows` make the database; then, as often as
one likes, `page` (an address with places, as `tests.pages` has them), `seen` and `times`. Gives the seconds
of each time, the most SQL queries of one, and the status.
"""

import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

import django
from django.core.management import call_command

from benchmarks.panel import fill


def main() -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    asked = json.loads(sys.stdin.readline())
    fill.fill(asked["keys"], asked["minute_rows"], datetime.now(UTC))
    panel = _Panel()
    _say({"rows": panel.minute_rows()})
    for line in sys.stdin:
        _say(panel.open(**json.loads(line)))


def _say(answer: object) -> None:
    print(json.dumps(answer), flush=True)


class _Panel:
    """Somebody signed in for each kind of page, and what the addresses ask for."""

    def __init__(self) -> None:
        from django.test import Client

        from accounts.models import ApiKey, User
        from tests.pages import Seen
        from tests.places import places_of

        key = ApiKey.objects.select_related("owner", "tier").get(pk=fill.BUSY)
        self._places = places_of(key)
        self._clients = {seen: Client(raise_request_exception=True) for seen in Seen}
        self._clients[Seen.BY_CUSTOMERS].force_login(key.owner)
        self._clients[Seen.BY_STAFF].force_login(User.objects.get(is_superuser=True))

    def minute_rows(self) -> int:
        from usage.models import UsageMinute

        return UsageMinute.objects.count()

    def open(self, page: str, seen: str, times: int) -> dict[str, Any]:
        from django.db import connection

        from tests.pages import Seen
        from usage.models import BookedUntil

        # As the worker would have: else the books fall behind while others are measured.
        BookedUntil.objects.update(minute=int(time.time()) // 60 - 1)
        address = page.format(**self._places)
        client = self._clients[Seen(seen)]
        statements: list[int] = []
        taken: list[float] = []
        status = 0

        def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            statements[-1] += 1
            return execute(sql, params, many, context)

        with connection.execute_wrapper(count):
            for _ in range(times):
                statements.append(0)
                began = time.perf_counter()
                status = client.get(address, SERVER_NAME="127.0.0.1").status_code
                taken.append(time.perf_counter() - began)
        return {"taken": taken, "queries": max(statements), "status": status, "address": address}


if __name__ == "__main__":
    main()
