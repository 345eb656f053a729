"""The formats we read and write: their names in the API, in Pillow and in HTTP, and what each can hold."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """A format by its API name, which is also its files' extension. `animated`: we write all frames."""

    name: str
    pillow: str
    content_type: str
    alpha: bool = True
    animated: bool = False


PNG = Format("png", "PNG", "image/png")
JPG = Format("jpg", "JPEG", "image/jpeg", alpha=False)
WEBP = Format("webp", "WEBP", "image/webp", animated=True)
GIF = Format("gif", "GIF", "image/gif", animated=True)
AVIF = Format("avif", "AVIF", "image/avif", animated=True)
HEIC = Format("heic", "HEIF", "image/heic")
TIFF = Format("tiff", "TIFF", "image/tiff")
BMP = Format("bmp", "BMP", "image/bmp", alpha=False)

INPUTS = (PNG, JPG, WEBP, GIF, AVIF, HEIC, TIFF, BMP)
OUTPUTS = (WEBP, JPG, PNG, AVIF, GIF, TIFF, BMP)

# What people also call them; answers use the first name only.
ALIASES = {"jpeg": "jpg", "tif": "tiff"}

_outputs = {output.name: output for output in OUTPUTS}
_inputs = {source.pillow: source for source in INPUTS}


def output_named(text: str) -> Format | None:
    """The output format a client asked for, in whatever case; `None` for one we don't write."""
    name = text.strip().lower()
    return _outputs.get(ALIASES.get(name, name))


def input_detected(pillow: str) -> Format:
    """The input format that Pillow found. A JPEG with more pictures behind the first is "MPO" to it."""
    return JPG if pillow == "MPO" else _inputs[pillow]
