"""The HTML part of an email, made from its text: the same words, laid out by `templates/mail/layout.html`.

The text stays the one thing that is written. Its lines mean something already, to who reads it as it is:

    What to do: wait.             a paragraph is a line; such an opening is set in bold
      Used: 800 of 1,000          with two spaces before it a fact, a row of a small table
    > I mended it.                what a person wrote
    See how the key stands:       a line with a colon and, after it, an address of ours on a line of its own:
    https://panel.example.com/    the first such pair is the button, others are links
    --                            on a line of its own: below it why this email came, and how to have no more

Every word is escaped. A link leads to us or isn't one, and what a person wrote has none.
"""

import re
from dataclasses import dataclass, field
from typing import Literal

from django.conf import settings
from django.template.loader import render_to_string
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

FOOTER = "--"
QUOTE = ">"
FACT = re.compile(r"  (?P<name>[^\s:][^:]*): (?P<value>.+)")

_OPENING = re.compile(
    r"(?P<opening>(?:Why|What [a-z ]+|When and from where|If it wasn't you):|(?:Was|Wasn't) it you\?) "
    r"(?P<rest>.+)"
)


@dataclass(slots=True)
class Block:
    """One part of an email; `line` is what it was read from, and the other fields depend on `kind`."""

    kind: Literal["paragraph", "facts", "quote", "button", "link"]
    line: str
    opening: str = ""
    text: SafeString = field(default_factory=SafeString)
    address: str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def html_of(subject: str, text: str) -> str:
    """`text` is as it was before it was wrapped."""
    said, _, footer = f"\n{text}\n".partition(f"\n{FOOTER}\n")
    return render_to_string(
        "mail/layout.html",
        {
            "subject": subject,
            "blocks": _blocks(said),
            "footer": [_linked(line) for line in footer.splitlines() if line.strip()],
            "home": f"{settings.BASE_URL}/",
        },
    )


def _blocks(text: str) -> list[Block]:
    blocks: list[Block] = []
    for line in filter(str.strip, text.splitlines()):
        last = blocks[-1] if blocks else None
        if fact := FACT.fullmatch(line):
            if last is None or last.kind != "facts":
                blocks.append(last := Block("facts", line))
            last.facts.append((fact["name"], fact["value"]))
        elif line.startswith(QUOTE):
            if last is None or last.kind != "quote":
                blocks.append(last := Block("quote", line))
            last.lines.append(line.removeprefix(QUOTE).strip())
        elif _is_address(line) and last is not None and last.kind == "paragraph" and last.line[-1] == ":":
            is_first = all(block.kind != "button" for block in blocks)
            blocks[-1] = Block("button" if is_first else "link", line, last.line[:-1], address=line)
        else:
            opening = _OPENING.fullmatch(line)
            blocks.append(
                Block("paragraph", line, opening["opening"], _linked(opening["rest"]))
                if opening
                else Block("paragraph", line, text=_linked(line))
            )
    return blocks


def _is_address(line: str) -> bool:
    return line.startswith(f"{settings.BASE_URL}/") and not re.search(r"\s", line)


def _linked(line: str) -> SafeString:
    """Escaped, and with links where it names addresses of ours."""
    address = rf"({re.escape(settings.BASE_URL)}/(?:[^\s<>\"']*[^\s<>\"'.,;:!?)])?)"
    parts = re.split(address, line)  # every second one is an address
    return mark_safe(  # noqa: S308  (each part is escaped)
        "".join(
            format_html('<a href="{}" class="link" style="color:#0f6145">{}</a>', part, part)
            if number % 2
            else escape(part)
            for number, part in enumerate(parts)
        )
    )
