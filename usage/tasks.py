"""What the worker does for usage, as beat asks."""

import logging
from collections.abc import Callable

import redis
from celery import shared_task
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from accounts.mail import sending, waking
from usage import announcements, key_notices
from usage.books import booking, last_used, retention, totals
from usage.escalation import following, reactivation
from usage.limits.store import LimitStore, limit_store
from usage.replay import running

logger = logging.getLogger(__name__)

STORE, DATABASE = "limit store", "database"
_away: set[str] = set()


@shared_task(name="usage.book_closed_minutes")
def book_closed_minutes() -> int:
    """Bring the minutes that are over from the limit store to SQL; gives the number of rows written."""
    return _with_the_store(booking.book_closed_minutes)


@shared_task(name="usage.total_what_is_booked")
def total_what_is_booked() -> int:
    """Sum up over all subjects what was booked since the last time; gives the number of hours."""
    return _or_later(totals.total_what_is_booked, DATABASE)


@shared_task(name="usage.book_last_uses")
def book_last_uses() -> int:
    """Bring from the limit store to SQL when secrets were last used; gives the number of secrets."""
    return _with_the_store(last_used.book_last_uses)


@shared_task(name="usage.forget_what_is_old")
def forget_what_is_old() -> int:
    """Remove from SQL what has been kept for its time; gives the number of rows."""
    return _or_later(lambda: retention.forget_what_is_old(timezone.now()), DATABASE)


@shared_task(name="usage.follow_changes")
def follow_changes() -> int:
    """Bring the ladder's changes to SQL, and the orders that it hasn't heard to the store; gives how many."""
    return _with_the_store(lambda store: reactivation.tell_pending(store) + following.follow_changes(store))


@shared_task(name="usage.announce_ladder")
def announce_ladder() -> int:
    """Tell the store which ladder is in force, in case it was away when staff changed that."""
    return _with_the_store(announcements.announce_ladder_in_force)


@shared_task(name="usage.owe_expiry_notices")
def owe_expiry_notices() -> int:
    """Owe the emails about keys that end within a week; gives how many."""
    return _or_later(lambda: key_notices.owe_expiry_notices(timezone.now()), DATABASE)


@shared_task(name=running.RUN_REPLAY, soft_time_limit=running.SOFT_LIMIT, time_limit=running.HARD_LIMIT)
def run_replay() -> int:
    """Run the replay that waits for longest; gives how many were run."""
    return _or_later(lambda: running.run_next(timezone.now()), DATABASE)


@shared_task(name=waking.SEND_MAIL, soft_time_limit=sending.SOFT_LIMIT, time_limit=sending.HARD_LIMIT)
def send_mail() -> int:
    """Send the mail that is owed; gives the number of emails sent."""
    return _or_later(sending.send_what_is_due, DATABASE)


def _with_the_store(do: Callable[[LimitStore], int]) -> int:
    return _or_later(lambda: do(limit_store()), STORE, DATABASE)


def _or_later(do: Callable[[], int], *needs: str) -> int:
    """What can't be done while one of its needs is away is done later: said once, not every two seconds."""
    try:
        done = do()
    except (redis.ConnectionError, redis.TimeoutError) as error:
        return _wait_for(STORE, error)
    except (OperationalError, InterfaceError) as error:
        return _wait_for(DATABASE, error)
    for name in _away.intersection(needs):
        _away.discard(name)
        logger.warning("The %s is back", name)
    return done


def _wait_for(name: str, error: Exception) -> int:
    if name not in _away:
        logger.error("The %s is down: what the worker does with it waits: %s", name, str(error).strip())
    _away.add(name)
    return 0
