"""The results of rehearsals: one small picture, in each format that is written."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from images.formats import OUTPUTS, Format

WIDTH, HEIGHT = 64, 48  # of each, in pixels
_FOLDER = Path(__file__).parent / "samples"


@dataclass(frozen=True, slots=True)
class Sample:
    format: Format
    content: bytes

    @property
    def token(self) -> str:
        """In the address of its download, where a job's has 43 random characters."""
        return f"rehearsal-{self.format.name}"


@cache
def sample_of(form: Format) -> Sample:
    return Sample(form, (_FOLDER / f"sample.{form.name}").read_bytes())


def of_token(token: str) -> Sample | None:
    """`None` for any other token, which is a job's or none."""
    return next((sample_of(form) for form in OUTPUTS if token == f"rehearsal-{form.name}"), None)
