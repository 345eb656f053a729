"""Vital signs of the panel's parts: what this app knows of its own, and what the apps above it register.

This app doesn't know who keeps jobs or sends webhooks. Whoever does registers a provider when its app is
ready.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    NEAR = "near"  # somebody should look
    FULL = "full"  # somebody has to do something
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Vital:
    """One part: how it is, in a few words, and some facts, each with its name.

    A fact's value is a text, a number or a moment.
    """

    name: str
    icon: str
    level: Level
    says: str
    facts: list[tuple[str, str | int | datetime]] = field(default_factory=list)


# Asks SQL once or not at all; what is wrong with it is raised.
Provider = Callable[[datetime], list[Vital]]

_providers: list[Provider] = []


def register(provider: Provider) -> None:
    """From now on `provider` is asked, too."""
    if provider not in _providers:
        _providers.append(provider)


def registered(now: datetime) -> list[Vital]:
    """What all providers tell."""
    return [vital for provider in _providers for vital in provider(now)]
