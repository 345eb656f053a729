"""How to wait as a refusal says, in a few lines of each language: files that run, shown as they are."""

from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Snippet(NamedTuple):
    language: str
    text: str


@cache
def snippets() -> tuple[Snippet, ...]:
    folder = files("usage.blocks") / "waiting"
    return tuple(
        Snippet(language, (folder / name).read_text())
        for language, name in (
            ("curl", "convert.sh"),
            ("Python", "convert.py"),
            ("JavaScript", "convert.mjs"),
        )
    )
