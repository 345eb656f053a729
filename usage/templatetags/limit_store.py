"""Whether the limit store is down, for pages that say so."""

from django import template

from usage.limits.health import is_store_down

register = template.Library()


@register.simple_tag
def limit_store_is_down() -> bool:
    return is_store_down()
