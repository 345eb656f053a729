"""What the worker does for usage, as beat asks."""

import logging
from collections.abc import Callable

import redis
from celery import shared_task
from django.utils import timezone

from usage import announcements
from usage.books import booking, retention
from usage.escalation import following, reactivation
from usage.limits.store import LimitStore, limit_store
from usage.mail import sending

logger = logging.getLogger(__name__)

_is_away = False


@shared_task(name="usage.book_closed_minutes")
def book_closed_minutes() -> int:
    """Bring the minutes that are over from the limit store to SQL; gives the number of rows written."""
    return _with_the_store(booking.book_closed_minutes)


@shared_task(name="usage.forget_what_is_old")
def forget_what_is_old() -> int:
    """Remove from SQL what has been kept for its time; gives the number of rows."""
    return retention.forget_what_is_old(timezone.now())


@shared_task(name="usage.follow_changes")
def follow_changes() -> int:
    """Bring the ladder's changes to SQL, and the orders that it hasn't heard to the store; gives how many."""
    return _with_the_store(lambda store: reactivation.tell_pending(store) + following.follow_changes(store))


@shared_task(name="usage.announce_ladder")
def announce_ladder() -> int:
    """Tell the store which ladder is in force, in case it was away when staff changed that."""
    return _with_the_store(announcements.announce_ladder_in_force)


@shared_task(name="usage.send_notices", soft_time_limit=sending.SOFT_LIMIT, time_limit=sending.HARD_LIMIT)
def send_notices() -> int:
    """Send the mail that is owed; gives the number of emails sent."""
    return sending.send_notices()


def _with_the_store(do: Callable[[LimitStore], int]) -> int:
    """What can't be done while the store is away is done later: said once, not every two seconds."""
    global _is_away
    try:
        done = do(limit_store())
    except (redis.ConnectionError, redis.TimeoutError) as error:
        if not _is_away:
            logger.error("The limit store is down: what the worker does with it waits: %s", error)
        _is_away = True
        return 0
    if _is_away:
        logger.warning("The limit store is back")
    _is_away = False
    return done
