"""What the worker does for usage, as beat asks."""

from celery import shared_task
from django.utils import timezone

from usage import books, retention
from usage.escalation import following, reactivation
from usage.limits.store import limit_store
from usage.mail import sending


@shared_task(name="usage.book_closed_minutes")
def book_closed_minutes() -> int:
    """Bring the minutes that are over from the limit store to SQL; gives the number of rows written."""
    return books.book_closed_minutes(limit_store())


@shared_task(name="usage.forget_what_is_old")
def forget_what_is_old() -> int:
    """Remove from SQL what has been kept for its time; gives the number of rows."""
    return retention.forget_what_is_old(timezone.now())


@shared_task(name="usage.follow_changes")
def follow_changes() -> int:
    """Bring the ladder's changes to SQL, and the orders that it hasn't heard to the store; gives how many."""
    store = limit_store()
    return reactivation.tell_pending(store) + following.follow_changes(store)


@shared_task(name="usage.send_notices", soft_time_limit=sending.SOFT_LIMIT, time_limit=sending.HARD_LIMIT)
def send_notices() -> int:
    """Send the mail that is owed; gives the number of emails sent."""
    return sending.send_notices()
