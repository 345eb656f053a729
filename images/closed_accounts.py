"""What becomes of an account's jobs when the account is deleted."""

from datetime import timedelta
from typing import Any

from django.dispatch import receiver
from django.utils import timezone

from accounts.models import User
from accounts.signals import account_closing
from images.models import AccountQueue, Download, Job
from images.models.account_queue import account_queue_id
from images.models.job import KEPT_FOR


@receiver(account_closing)
def hand_jobs_to_the_cleaning(user: User, **_: Any) -> None:
    """From the commit on nobody can fetch anything; files and rows go with the next cleaning, in a minute.

    Not here: there may be thousands of files, on a storage that takes its time for each. A worker that is
    busy with one of the jobs finds it ended and drops what it made.
    """
    mine = Job.objects.filter(owner=user)
    Download.objects.filter(job__in=mine).update(uses_left=0)
    # Made where it has none: whoever is about to submit its first job waits for us, and finds it gone.
    queue = AccountQueue.objects.locked_or_made(account_queue_id(user.pk))
    mine.exclude(status__in=Job.ENDED).update(status=Job.Status.FAILED)
    long_ago = timezone.now() - KEPT_FOR - timedelta(seconds=1)
    mine.update(owner=None, subject_id="", queue=None, ended_at=long_ago)
    queue.delete()
