"""A clock that tests set and advance."""

from datetime import UTC, datetime


class Clock:
    """Unix time in microseconds, standing still until told otherwise."""

    def __init__(self, at: str = "2026-03-01T12:00:00") -> None:
        self.set(at)

    def __call__(self) -> int:
        return self.microseconds

    def set(self, at: str) -> None:
        self.microseconds = int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() * 1_000_000)

    def advance(self, seconds: float) -> None:
        self.microseconds += int(seconds * 1_000_000)

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    @property
    def seconds(self) -> int:
        return self.microseconds // 1_000_000
