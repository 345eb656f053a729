"""The week that is replayed: six whole days, and the seventh until shortly before its end."""

from datetime import UTC, datetime

FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)
NOW = datetime(2026, 3, 8, 23, 50, tzinfo=UTC)
