"""When an event that did not arrive is sent again."""

import contextlib
import re
import secrets
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

RETRIES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
)
# What a Retry-After may ask for at most. The job's row, of which the event is made, lives for a day.
LONGEST_RETRY_AFTER = RETRIES[-1]
# Up to a tenth more by chance, so that what failed together isn't sent together.
JITTER = 0.1


def next_attempt(failed: int, now: datetime, retry_after: str | None = None) -> datetime | None:
    """When to try again after so many failed attempts; `None` when that was the last.

    `retry_after` is the header's value: never sooner than it says, within bounds.
    """
    if failed > len(RETRIES):
        return None
    pause = RETRIES[failed - 1] * (1 + JITTER * secrets.randbelow(1000) / 1000)
    asked = min(_asked_for(retry_after or "", now), LONGEST_RETRY_AFTER)
    return now + max(pause, asked)


def _asked_for(retry_after: str, now: datetime) -> timedelta:
    """Of either form, seconds or a date; nothing when it is neither."""
    text = retry_after.strip()
    if re.fullmatch("[0-9]{1,9}", text, re.ASCII):
        return timedelta(seconds=int(text))
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        at = parsedate_to_datetime(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    return timedelta(0)
