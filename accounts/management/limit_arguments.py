"""Limits on a command line: `minute=30`, or `minute=none` where having no limit is possible."""

from collections.abc import Iterable

from django.core.management.base import CommandError

from accounts.tiers import LIMIT_KINDS

LARGEST = 2_147_483_647  # what every database's integer column holds
NO_LIMIT = "none"


def read_limits(arguments: Iterable[str], *, may_be_none: bool) -> dict[str, int | None]:
    """`["minute=20", "day=none"]` as `{"minute": 20, "day": None}`; raises `CommandError` in one line."""
    limits: dict[str, int | None] = {}
    for argument in arguments:
        kind, _, text = argument.partition("=")
        if kind not in LIMIT_KINDS:
            raise CommandError(f"Unknown limit {kind!r}: it is one of {', '.join(LIMIT_KINDS)}.")
        if kind in limits:
            raise CommandError(f"{kind} is given twice.")
        limits[kind] = None if may_be_none and text.lower() == NO_LIMIT else _number(kind, text, may_be_none)
    return limits


def _number(kind: str, text: str, may_be_none: bool) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST)) else 0
    if not 1 <= number <= LARGEST:
        otherwise = f", or {NO_LIMIT} for no limit" if may_be_none else ""
        raise CommandError(f"{kind}={text} is no limit: write a whole number from 1 to {LARGEST}{otherwise}.")
    return number
