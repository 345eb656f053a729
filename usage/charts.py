"""Charts of requests over time, as plain numbers: for a script that draws them, and for a table beside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import redis

from accounts.tiers import Limits
from usage.books.series import Point, Series, series_of

FAR = 6  # times as high as the highest bar


class Span(StrEnum):
    """How far back a chart goes; the values are what addresses have."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"

    @property
    def label(self) -> str:
        return {Span.HOUR: "Last hour", Span.DAY: "24 hours", Span.MONTH: "30 days"}[self]

    @property
    def unit(self) -> str:
        """Of what there is one point each."""
        return {Span.HOUR: "minute", Span.DAY: "hour", Span.MONTH: "day"}[self]


class Stack(NamedTuple):
    """One part of each bar. `role` chooses its colour: `served` or `refused`, or a number for others.

    Parts with the same `bar` stand on each other; different bars of one time stand side by side.
    """

    name: str
    role: str
    values: Sequence[int]
    bar: str = "requests"


class Line(NamedTuple):
    """A level that is drawn across all bars, unless it is so far above that they would shrink to dots."""

    name: str
    value: int
    is_far: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars over time, a bar for each of `starts`, and at most one line."""

    span: Span
    starts: Sequence[datetime]
    stacks: Sequence[Stack]
    line: Line | None = None

    @property
    def totals(self) -> list[tuple[str, str, int]]:
        """Of each part: its name, its role, and the sum of it."""
        return [(stack.name, stack.role, sum(stack.values)) for stack in self.stacks]

    @property
    def is_empty(self) -> bool:
        return not any(any(stack.values) for stack in self.stacks)

    @property
    def rows(self) -> list[tuple[datetime, list[int]]]:
        """For a table: a start and its values, the newest first, without those in which nothing happened."""
        columns = zip(*(stack.values for stack in self.stacks), strict=True)
        rows = [(start, list(values)) for start, values in zip(self.starts, columns, strict=True)]
        return [row for row in reversed(rows) if any(row[1])]

    def as_plain_values(self) -> dict[str, Any]:
        """For `static/js/chart.js`, which is the only reader."""
        return {
            "unit": self.span.unit,
            "starts": [start.isoformat() for start in self.starts],
            "stacks": [stack._asdict() for stack in self.stacks],
            "line": self._drawn_line(),
        }

    def _drawn_line(self) -> dict[str, str | int] | None:
        if self.line is None or self.line.is_far:
            return None
        return {"name": self.line.name, "value": self.line.value}


def series_at(subject_id: str, now: int, *, live: bool) -> Series:
    """Up to `now`, in Unix seconds; what is booked alone, if the limit store can't be asked."""
    if live:
        try:
            return series_of(subject_id, now)
        except redis.RedisError:
            pass  # it went away meanwhile: what is booked is still true
    return series_of(subject_id, now, live=False)


def points_of(series: Series, span: Span) -> list[Point]:
    return {Span.HOUR: series.minutes, Span.DAY: series.hours, Span.MONTH: series.days}[span]


def chart_of(series: Series, span: Span, limits: Limits) -> Chart:
    """A subject's served and refused requests. Its limit is a line where a point has one: not on hours."""
    points = points_of(series, span)
    kind, limit = {
        Span.HOUR: ("minute", limits.minute),
        Span.DAY: ("", None),
        Span.MONTH: ("day", limits.day),
    }[span]
    highest = max(point.admitted + point.refused for point in points)
    return Chart(
        span,
        [point.start for point in points],
        [
            Stack("Served", "served", [point.admitted for point in points]),
            Stack("Refused", "refused", [point.refused for point in points]),
        ],
        None if limit is None else Line(f"Limit: {limit:,} a {kind}", limit, 0 < highest * FAR < limit),
    )
