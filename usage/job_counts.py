"""How many jobs there are: what the app above knows, and what pages and answers about limits show.

This app doesn't know who keeps jobs. Whoever does registers a provider when its app is ready.
"""

from typing import NamedTuple, Protocol

from usage.subjects import Subject


class JobCounts(NamedTuple):
    """Jobs that run now and jobs that wait: of a key's account, over all of its keys, or of a guest."""

    running: int
    queued: int


class Busy(NamedTuple):
    """An account (or a guest, by the subject's id) with its jobs."""

    account_id: int | None
    subject_id: str
    counts: JobCounts


class Provider(Protocol):
    """Each asks SQL once; what is wrong with it is raised."""

    def of(self, subject: Subject) -> JobCounts: ...

    def above(self, counts: JobCounts, most: int) -> list[Busy]:
        """Who has more running, or more waiting, than `counts` says: at most so many."""


_provider: Provider | None = None


def register(provider: Provider) -> None:
    """From now on `provider` is asked; there is one."""
    global _provider
    _provider = provider


def job_counts_of(subject: Subject) -> JobCounts | None:
    """`None` where there are no jobs at all."""
    return None if _provider is None else _provider.of(subject)


def busy_above(counts: JobCounts, most: int) -> list[Busy]:
    """As the provider says; nobody where there are no jobs at all."""
    return [] if _provider is None else _provider.above(counts, most)
