"""Limits and how a key's own limits come about: its override, else its tier's number."""

from typing import NamedTuple

LIMIT_KINDS = ("minute", "day", "concurrent", "parallel", "queued")


class Limits(NamedTuple):
    """How much is allowed, by limit kind; `None` is no limit.

    `minute` and `day` count charged requests, `concurrent` those in flight, `parallel` and `queued` an
    account's running and waiting jobs.
    """

    minute: int | None
    day: int | None
    concurrent: int | None
    parallel: int | None
    queued: int | None
