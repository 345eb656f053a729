"""The example clients: kept as files that run, shown and handed out as they are."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "examples"


class Example(NamedTuple):
    """A client in one language; `command` runs it, once KOALA_URL and KOALA_KEY are set."""

    anchor: str
    language: str
    filename: str
    needs: str
    settings: str
    command: str

    @property
    def run_anchor(self) -> str:
        return f"{self.anchor}-run"

    @property
    def run_label(self) -> str:
        return f"Running {self.filename}"

    @property
    def file_anchor(self) -> str:
        return f"{self.anchor}-file"

    @property
    def text(self) -> str:
        return text_of(self.filename)


_SH = 'export KOALA_URL={url}\nexport KOALA_KEY="koala_…"'

EXAMPLES = (
    Example(
        "curl", "curl", "convert.sh", "a shell and curl, nothing else", _SH, "sh convert.sh photo.png webp"
    ),
    Example(
        "python",
        "Python",
        "convert.py",
        "Python 3.9 or newer, and requests (pip install requests)",
        _SH,
        "python3 convert.py photo.png webp",
    ),
    Example(
        "javascript",
        "JavaScript",
        "convert.mjs",
        "Node.js 18 or newer, nothing else",
        _SH,
        "node convert.mjs photo.png webp",
    ),
    Example(
        "powershell",
        "PowerShell",
        "convert.ps1",
        "PowerShell 7 or newer, nothing else",
        '$env:KOALA_URL = "{url}"\n$env:KOALA_KEY = "koala_…"',
        "./convert.ps1 photo.png webp",
    ),
)


@cache
def text_of(filename: str) -> str:
    return (FOLDER / filename).read_text()


def named(filename: str) -> Example | None:
    return next((example for example in EXAMPLES if example.filename == filename), None)


def how_to_run(example: Example, base_url: str) -> str:
    """The two settings and the command, for this server."""
    return example.settings.format(url=base_url) + "\n" + example.command
