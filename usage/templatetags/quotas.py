"""What the usage page calls the limit kinds, and the countdown that its scripts take over."""

from datetime import datetime, timedelta

from django import template

register = template.Library()

TITLES = {"day": "Requests today", "minute": "This minute", "concurrent": "In flight now"}
LIMITS = {"day": "Day", "minute": "Minute", "concurrent": "Concurrency"}
UNITS = {
    "day": "requests per UTC day",
    "minute": "requests per minute",
    "concurrent": "requests at the same time",
}
ICONS = {"day": "calendar-stats", "minute": "clock", "concurrent": "arrows-exchange"}
OTHER_ICON = "activity"


@register.filter
def quota_title(kind: str) -> str:
    return TITLES.get(kind, kind)


@register.filter
def limit_name(kind: str) -> str:
    return LIMITS.get(kind, kind)


@register.filter
def quota_unit(kind: str) -> str:
    return UNITS.get(kind, "")


@register.filter
def quota_icon(kind: str) -> str:
    return ICONS.get(kind, OTHER_ICON)


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
