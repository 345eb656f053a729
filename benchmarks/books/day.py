"""The day whose last minute is booked: hour and day to be summed up are as long as can be."""

from datetime import UTC, datetime

DAY_START = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())
LAST_MINUTE = DAY_START // 60 + 24 * 60 - 1
# When it has just settled, in the microseconds of a limit store's clock.
BOOKED_AT = (DAY_START + 86_400 + 5) * 1_000_000
