"""What the pages about second factors need to write things as people read them."""

from django import template

register = template.Library()


@register.filter
def in_fours(text: str) -> str:
    """`ABCD EFGH …`: a secret that somebody types from a screen into a phone. Apps leave the blanks out."""
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))
