"""A dry run of a change: it is made and taken back, so that it fails for whatever the real one would."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction


@contextmanager
def taken_back(only: bool) -> Iterator[None]:
    """`only` a dry run: SQL takes back what is done within, and what follows a commit doesn't happen."""
    if not only:
        yield
        return
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
