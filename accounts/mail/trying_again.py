"""Staff have mail that waits tried again at once, instead of when it would be."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.mail import pauses
from accounts.models import User
from accounts.models.owed_mail import OwedMailQuerySet


def try_again(chosen: OwedMailQuerySet[Any], *, by: User) -> int:
    """Each of the chosen that waits is due now; gives how many. The audit log has an entry for each."""
    now, number = timezone.now(), 0
    with transaction.atomic():
        # By their numbers: a list that was searched may join what can't be locked.
        rows = chosen.model._default_manager.filter(pk__in=chosen.values("pk"))
        for owed in rows.waiting().select_for_update(no_key=True):
            before, owed.due_at = owed.due_at, now
            owed.save(update_fields=["due_at"])
            audit.record(
                "tried again",
                owed,
                by=by,
                before={"due_at": before.isoformat()},
                after={"due_at": now.isoformat()},
            )
            number += 1
    pauses.rest_no_more()
    return number
