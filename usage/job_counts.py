"""How many jobs there are: what the app above knows, and what pages and answers about limits show.

This app doesn't know who keeps jobs. Whoever does registers a provider when its app is ready.
"""

from collections.abc import Callable
from typing import NamedTuple

from usage.subjects import Subject


class JobCounts(NamedTuple):
    """Jobs that run now and jobs that wait: of a key's account, over all of its keys, or of a guest."""

    running: int
    queued: int


# Asks SQL once; what is wrong with it is raised.
Provider = Callable[[Subject], JobCounts]

_provider: Provider | None = None


def register(provider: Provider) -> None:
    """From now on `provider` is asked; there is one."""
    global _provider
    _provider = provider


def job_counts_of(subject: Subject) -> JobCounts | None:
    """`None` where there are no jobs at all."""
    return None if _provider is None else _provider(subject)
