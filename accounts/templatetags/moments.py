"""Times as pages write them before their scripts know the viewer's zone (`static/js/moments.js`)."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django import template
from django.utils.html import format_html

register = template.Library()


@register.filter
def moment(at: datetime, now: datetime) -> str:
    """`14:32` today, `Sun 14:32` some days off, `1 Mar 14:32` beyond, `1 Mar 2025` of another year.

    `moments.js` says the same in the viewer's zone.
    """
    if at.date() == now.date():
        return f"{at:%H:%M}"
    if abs(at - now) < timedelta(days=6):
        return f"{at:%a %H:%M}"
    return f"{at.day} {at:%b %H:%M}" if at.year == now.year else f"{at.day} {at:%b %Y}"


@register.simple_tag
def moment_of(at: datetime, now: datetime) -> str:
    """What `_moment.html` is, at a quarter of the cost: for the rows of long tables."""
    return format_html('<time datetime="{}" data-moment>{} UTC</time>', at.isoformat(), moment(at, now))


@register.filter
def countdown(until: datetime, now: datetime) -> str:
    """`in 5 h 36 min`, `in 41 min`, `in 12 s`; `now` once it is past. `moments.js` says the same."""
    return _in_words(until, now, lambda seconds: 1 if seconds < 3600 else 2)


@register.filter
def countdown_to_the_second(until: datetime, now: datetime) -> str:
    """`in 14 min 59 s`: for a wait that is in vain if it is a second too short."""
    return _in_words(until, now, lambda seconds: 4)


def _in_words(until: datetime, now: datetime, parts: Callable[[int], int]) -> str:
    """`parts` says how many units a number of seconds is worth."""
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
    shown = numbers[first : first + parts(seconds)]
    return "in " + " ".join(f"{number}\u00a0{unit}" for number, unit in shown if number)
