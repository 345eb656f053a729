"""`{% absolute_url "contact" %}`: a page's whole address, for who reads it elsewhere than on our pages."""

from django import template
from django.conf import settings
from django.urls import reverse

register = template.Library()


@register.simple_tag
def absolute_url(name: str, *args: object) -> str:
    """It begins with BASE_URL: what a request says of its host is not asked."""
    return f"{settings.BASE_URL}{reverse(name, args=args)}"
