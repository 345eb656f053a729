"""Look up keys by their texts, which come as a JSON list on standard input; prints what it took, as JSON.

Each is looked up twice: by a process that never met it, and by one that has.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import django
import psutil  # type: ignore[import-untyped]

WARM_UP = 200  # of other texts, so that the connection and the interpreter are


def main() -> None:
    django.setup()

    from django.db import connection

    from accounts import api_keys
    from usage.guard.known_subjects import KnownSubjects
    from usage.guard.old_connections import leave_old_connections

    texts: list[str] = json.load(sys.stdin)
    statements: list[tuple[str, Any]] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append((sql, params))
        return execute(sql, params, many, context)

    known = KnownSubjects(capacity=len(texts) + WARM_UP, before_sql=leave_old_connections)
    for _ in range(WARM_UP):
        known.by_key(api_keys.new_text())
    server = psutil.Process(connection.connection.info.backend_pid).parent()
    with connection.execute_wrapper(note):
        cpu, database_cpu = time.process_time(), _cpu_seconds(server)
        cold = [_seconds(known.by_key, text) for text in texts]
        cpu, database_cpu = time.process_time() - cpu, _cpu_seconds(server) - database_cpu
        cold_statements, example = len(statements), statements[0]
        statements.clear()
        warm = [_seconds(known.by_key, text) for text in texts]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {example[0]}", example[1])
        (plan,) = cursor.fetchone()
        cursor.execute(
            "SELECT relname FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid JOIN pg_attribute a"
            " ON a.attrelid = indrelid AND a.attnum = ANY (indkey) AND attname = 'digest'"
        )
        indexes = [name for (name,) in cursor.fetchall()]
        cursor.execute("SELECT pg_database_size(current_database())")
        (size,) = cursor.fetchone()
    json.dump(
        {
            "cold": cold,
            "warm": warm,
            "cpu_seconds": cpu,
            "database_cpu_seconds": database_cpu,
            "cold_statements": cold_statements,
            "warm_statements": len(statements),
            "found": sum(known.by_key(text) is not None for text in texts),
            "plan": [_step(node) for node in _nodes(plan[0]["Plan"])],
            "indexes": indexes,
            "bytes": size,
        },
        sys.stdout,
    )


def _seconds(look_up: Callable[[str], object], text: str) -> float:
    began = time.perf_counter()
    look_up(text)
    return time.perf_counter() - began


def _cpu_seconds(server: psutil.Process) -> float:
    """Of PostgreSQL and all of its processes, those that ended included: connections are renewed."""
    return float(sum(server.cpu_times()[:4])) + sum(sum(one.cpu_times()[:2]) for one in server.children())


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)


def _step(node: dict[str, Any]) -> dict[str, str | None]:
    """What a step of the plan does, on which table, by which index."""
    return {
        "does": node["Node Type"],
        "table": node.get("Relation Name"),
        "index": node.get("Index Name"),
    }


if __name__ == "__main__":
    main()
