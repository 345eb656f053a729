"""`{{ reason|quoted }}`: what a person wrote, in an email of ours."""

from django import template

from accounts.mail.layout import QUOTE

register = template.Library()


@register.filter
def quoted(text: str) -> str:
    """As mail programs quote: no line of it can be taken for one of ours."""
    return "\n".join(f"{QUOTE} {line}".rstrip() for line in text.splitlines())
