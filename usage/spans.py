"""The spans of time that are counted, all in UTC: minutes, hours, days."""

from datetime import UTC, datetime, timedelta

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def minute_start(minute: int) -> datetime:
    """A Unix minute as the time it starts at."""
    return datetime.fromtimestamp(minute * 60, UTC)


def hour_start(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def day_start(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)
