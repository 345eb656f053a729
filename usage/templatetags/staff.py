"""What every staff page has: `{% staff_pages as pages %}`, its menu for the person who looks at it, and
`{% how_degraded as degraded %}`, what is wrong with the panel as a whole."""

from datetime import datetime
from typing import Any, NamedTuple

from django import template
from django.urls import reverse
from django.utils import timezone

from usage.staff.degraded import Degraded, degraded
from usage.staff.navigation import PAGES

register = template.Library()


class Link(NamedTuple):
    """`is_here`: the page that is shown is this one or below it; `is_exact`: it is this one. `waiting` is how
    much waits there for somebody."""

    url: str
    title: str
    icon: str
    is_here: bool
    is_exact: bool
    waiting: int = 0


@register.simple_tag(takes_context=True)
def staff_pages(context: dict[str, Any]) -> list[Link]:
    request = context["request"]
    overview = reverse("staff")
    links = []
    for entry in PAGES:
        if entry.permissions and not any(map(request.user.has_perm, entry.permissions)):
            continue
        url = reverse(entry.name)
        is_exact = request.path == url
        is_below = url != overview and request.path.startswith(url)
        waiting = entry.waiting() if entry.waiting else 0
        links.append(Link(url, entry.title, entry.icon, is_exact or is_below, is_exact, waiting))
    return links


@register.simple_tag
def how_degraded() -> Degraded:
    return degraded(timezone.now())


@register.filter
def is_moment(value: object) -> bool:
    return isinstance(value, datetime)
