"""`{% icon "key" %}`: one of the vendored Tabler icons, drawn in line in the colour of the text around it."""

import re
from functools import lru_cache
from pathlib import Path

from django import template
from django.contrib.staticfiles import finders
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

FOLDER = "vendor/tabler-icons"


class UnknownIcon(LookupError):
    """The icon is not among the vendored ones."""


@register.simple_tag
@lru_cache(maxsize=256)
def icon(name: str) -> SafeString:
    """The icon's `<svg>`, hidden from screen readers: the words beside it say what it means."""
    path = finders.find(f"{FOLDER}/{name}.svg")
    if path is None:
        raise UnknownIcon(f"static/{FOLDER}/{name}.svg is missing: copy it from the @tabler/icons package.")
    drawing = re.sub(r"\s+", " ", Path(str(path)).read_text()).replace("> <", "><").strip()
    drawing = re.sub(r' (xmlns|class|width|height)="[^"]*"', "", drawing, count=4)
    drawing = drawing.replace("<svg", '<svg class="icon" aria-hidden="true" focusable="false"', 1)
    return mark_safe(drawing)  # noqa: S308  (a file of ours)
