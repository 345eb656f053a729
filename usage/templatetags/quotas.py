"""What the usage page calls limits and refusals, and the times that its scripts take over."""

from datetime import datetime, timedelta

from django import template
from django.utils import dateformat as dates

register = template.Library()

TITLES = {"day": "Requests today", "minute": "This minute", "concurrent": "In flight now"}
# Of `usage.limits.outcomes.HITS`: what refused a request.
REFUSED_BY = {
    "minute": "Minute limit",
    "day": "Day limit",
    "concurrent": "Concurrency limit",
    "cooldown": "Cooldown",
    "blocked": "Block",
    "suspended": "Suspension",
    "unavailable": "Limits unavailable",
}
UNITS = {
    "day": "requests per UTC day",
    "minute": "requests per minute",
    "concurrent": "requests at the same time",
}
ICONS = {"day": "calendar-stats", "minute": "clock", "concurrent": "arrows-exchange"}
HAPPENINGS = {
    "cooldown": "clock",
    "block": "ban",
    "suspension": "lock",
    "ease": "leaf",
    "reactivation": "circle-check",
}
OTHER_ICON = "activity"


@register.filter
def quota_title(kind: str) -> str:
    return TITLES.get(kind, kind)


@register.filter
def limit_name(kind: str) -> str:
    return REFUSED_BY.get(kind, kind)


@register.filter
def quota_unit(kind: str) -> str:
    return UNITS.get(kind, "")


@register.filter
def quota_icon(kind: str) -> str:
    return ICONS.get(kind, OTHER_ICON)


@register.filter
def happening_icon(kind: str) -> str:
    return HAPPENINGS.get(kind, OTHER_ICON)


@register.filter
def moment(at: datetime, now: datetime) -> str:
    """`14:32` today, `Sun 14:32` some days off, `1 Mar 14:32` beyond, `1 Mar 2025` of another year.

    `moments.js` says the same in the viewer's zone.
    """
    if at.date() == now.date():
        return dates.format(at, "H:i")
    if abs(at - now) < timedelta(days=6):
        return dates.format(at, "D H:i")
    return dates.format(at, "j M H:i" if at.year == now.year else "j M Y")


@register.filter
def countdown(until: datetime, now: datetime) -> str:
    """`in 5 h 36 min`, `in 41 min`, `in 12 s`; `now` once it is past. `moments.js` says the same."""
    seconds = -(-(until - now) // timedelta(seconds=1))
    if seconds <= 0:
        return "now"
    numbers = (
        (seconds // 86400, "d"),
        (seconds // 3600 % 24, "h"),
        (seconds // 60 % 60, "min"),
        (seconds % 60, "s"),
    )
    first = next(place for place, (number, _) in enumerate(numbers) if number)
    shown = numbers[first : first + (1 if seconds < 3600 else 2)]
    return "in " + " ".join(f"{number}\u00a0{unit}" for number, unit in shown if number)
