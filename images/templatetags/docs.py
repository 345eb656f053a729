"""What the docs pages are written with: headings that can be linked to, and the list of a page's headings."""

from typing import Any

from django import template
from django.template.base import Node, NodeList, Parser, Token
from django.template.context import Context
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

_HEADINGS = "_headings"
# By template and anchor.
_drawn: dict[tuple[str, str], SafeString] = {}


@register.simple_tag(takes_context=True)
def heading(context: Context, anchor: str, text: str, level: int = 2, is_listed: bool = True) -> SafeString:
    """A heading with a link to itself; of level 2 it is listed among the page's `contents`."""
    if level == 2 and is_listed:
        context[_HEADINGS].append((anchor, text))
    return format_html(
        '<h{level} id="{anchor}" class="kp-docs-heading">{text}'
        ' <a class="kp-docs-anchor" href="#{anchor}" aria-label="Link to “{text}”">#</a></h{level}>',
        level=level,
        anchor=anchor,
        text=text,
    )


@register.simple_tag
def drawn(template_name: str, one: Any) -> SafeString:
    """A part of the reference, as `one`. Drawn once in a process: it stays as it is while that lives,
    and all parts together take 40 ms.
    """
    key = template_name, one.anchor
    if key not in _drawn:
        _drawn[key] = render_to_string(template_name, {"one": one})
    return _drawn[key]


@register.filter
def prose(text: str) -> SafeString:
    """A sentence in which `words` between backticks are code."""
    parts = text.split("`")
    return format_html_join(
        "",
        "{}",
        ((format_html("<code>{}</code>", part) if place % 2 else part,) for place, part in enumerate(parts)),
    )


@register.filter
def paragraphs(text: str) -> SafeString:
    """`prose` in paragraphs, which blank lines divide."""
    return format_html_join("\n", "<p>{}</p>", ((prose(part),) for part in text.split("\n\n")))


@register.tag
def contents(parser: Parser, token: Token) -> Node:
    """`{% contents %}…{% endcontents %}`: what is between, behind a list of its headings."""
    nodelist = parser.parse(("endcontents",))
    parser.delete_first_token()
    return ContentsNode(nodelist)


class ContentsNode(Node):
    def __init__(self, nodelist: NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        headings: list[tuple[str, str]] = []
        with context.push(**{_HEADINGS: headings}):
            text = self.nodelist.render(context)
        return SafeString(render_to_string("docs/_contents.html", {"headings": headings}) + text)


@register.inclusion_tag("docs/_code.html")
def code(anchor: str, label: str, text: str, wraps: bool = True) -> dict[str, Any]:
    """A block of text to copy: `label` says what it is, `anchor` is its id on the page.

    Where a line that `wraps` would mislead, as in a program, it is scrolled within the block.
    """
    return {"anchor": anchor, "label": label, "text": text, "wraps": wraps}
