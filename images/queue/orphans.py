"""Files that no job knows: a process was killed between keeping a file and writing its row."""

import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta

from django.core.files.storage import default_storage
from django.db.models import Q
from django.utils import timezone

from images.models import Job

log = logging.getLogger(__name__)

FOLDERS = ("in", "out")
# A file is there before its row knows of it, for as long as a request or a storage takes.
YOUNG = timedelta(hours=1)
_AT_ONCE = 500


def remove_orphans() -> int:
    """Remove the files of no job; gives how many. Looks at the name of every file, and at the age of few."""
    removed = 0
    for names in _kept():
        for name in sorted(set(names) - _known(names)):
            try:
                if default_storage.get_modified_time(name) < timezone.now() - YOUNG:
                    default_storage.delete(name)
                    removed += 1
            except FileNotFoundError:
                continue  # its job has ended meanwhile
    if removed:
        log.warning("Removed %d files that no job knew", removed)
    return removed


def _kept() -> Iterator[Sequence[str]]:
    for folder in FOLDERS:
        try:
            names = sorted(default_storage.listdir(folder)[1])
        except FileNotFoundError:
            continue  # nothing was ever kept there
        for start in range(0, len(names), _AT_ONCE):
            yield [f"{folder}/{name}" for name in names[start : start + _AT_ONCE]]


def _known(names: Sequence[str]) -> set[str]:
    """Those of the files that are a job's."""
    ids = {name.partition("/")[2].partition("-")[0] for name in names}
    jobs = Job.objects.filter(~Q(source="") | ~Q(result=""), pk__in=ids)
    return {name for files in jobs.values_list("source", "result") for name in files}
