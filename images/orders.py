"""A conversion as it is ordered and as it ends: what web process and worker both speak of, without Pillow."""

from dataclasses import dataclass

from images.formats import Format


@dataclass(frozen=True, slots=True)
class Order:
    """What to make. `quality` is 1 to 100, for the formats that have one; `width` and `height` in pixels:
    with one of them the other follows, with both the picture is made to fit inside.

    Without an output it is a compression: the input's format is kept, and the result made smaller by
    `quality`, or to have at most `target_bytes`.
    """

    output: Format | None
    quality: int | None = None
    width: int | None = None
    height: int | None = None
    target_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    format: Format
    width: int
    height: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Outcome:
    input: Facts
    output: Facts


class Unconvertible(Exception):
    """The picture can't be converted, and why: a code of the API's table, a sentence, the field at fault."""

    def __init__(self, code: str, detail: str, field: str = "file") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.field = field
