"""The audit log as CSV: everything that a filter finds, in UTC and as JSON."""

import json
from collections.abc import Iterator
from datetime import UTC

from django.db.models import QuerySet
from django.http import StreamingHttpResponse

from accounts.csv_export import csv_response
from accounts.models import AuditEntry

COLUMNS = ("at", "who", "action", "what", "target", "why", "before", "after")
ROWS_AT_ONCE = 500


def csv_of(entries: QuerySet[AuditEntry]) -> StreamingHttpResponse:
    return csv_response("audit-log.csv", COLUMNS, _cells(entries))


def _cells(entries: QuerySet[AuditEntry]) -> Iterator[tuple[str, ...]]:
    for entry in entries.iterator(chunk_size=ROWS_AT_ONCE):
        yield (
            entry.at.astimezone(UTC).isoformat(),
            entry.actor_label,
            entry.action,
            entry.target_label,
            f"{entry.target_type} {entry.target_id}",
            entry.reason,
            json.dumps(entry.before, ensure_ascii=False, sort_keys=True),
            json.dumps(entry.after, ensure_ascii=False, sort_keys=True),
        )
