"""What the worker removes, once a minute."""

from django.utils import timezone

from images.models import Download, Job
from images.models.job import KEPT_FOR

AT_ONCE = 500  # rows in one transaction, which others may wait for


def remove_what_is_over() -> int:
    """Remove results that can't be downloaded any more, uploads of jobs that have ended, and old jobs.

    Returns how many files and rows went. What a run that was killed left behind, the next one finds.
    """
    removed = 0
    for job in Job.objects.filter(download__in=Download.objects.removable()).exclude(result=""):
        job.forget_result()
        removed += 1
    for job in Job.objects.ended().exclude(source=""):
        job.forget_source()
        removed += 1
    old = Job.objects.ended().filter(ended_at__lt=timezone.now() - KEPT_FOR).order_by("ended_at")
    while ids := list(old.values_list("pk", flat=True)[:AT_ONCE]):
        removed += old.filter(pk__in=ids).delete()[1].get(Job._meta.label, 0)
    return removed
