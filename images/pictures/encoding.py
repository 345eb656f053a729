"""Writing pictures: each format's options, and nothing in the file but pixels, time and colour profile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from PIL import Image

from images import formats
from images.formats import Format

LONGEST_SIDE = {"webp": 16_383, "jpg": 65_500, "gif": 65_535, "avif": 32_768}  # what the formats can hold
DEFAULT_QUALITY = {"webp": 80, "jpg": 85, "avif": 65}
UNTIMED_FRAME = 100  # ms: what browsers make of a frame that asks for less than 20
MOST_COLOURS = 256

# libjpeg keeps all of a progressive picture's coefficients: 5 to 10 bytes a pixel, to save some 5 %.
_PROGRESSIVE_PIXELS = 16_000_000
# The larger the picture, the less time a pixel may take: 6 is the encoder's own choice, 10 its fastest.
_AVIF_SPEEDS = ((4_000_000, 6), (16_000_000, 7))
_AVIF_SPEED_BEYOND = 8
_TIFF_PREDICTOR = {317: 2}  # differences of neighbours deflate better: photographs by a third


@dataclass(slots=True)
class Pictures:
    """One picture, or the frames of an animation: of one size and mode. `durations` are in ms; `loop` is how
    often it plays, 0 for ever."""

    frames: Sequence[Image.Image]
    durations: Sequence[int] = ()
    loop: int = 0
    profile: bytes | None = None

    @property
    def first(self) -> Image.Image:
        return self.frames[0]

    @property
    def are_animated(self) -> bool:
        return len(self.frames) > 1

    @property
    def have_holes(self) -> bool:
        return self.first.mode in ("LA", "RGBA")


def write(pictures: Pictures, target: IO[bytes], form: Format, **options: Any) -> None:
    """Encode into `target`, which is at its end after. `options` are Pillow's, over ours for the format."""
    first, pixels = pictures.first, pictures.first.width * pictures.first.height
    asked: dict[str, Any] = {}
    if pictures.profile is not None:
        asked["icc_profile"] = pictures.profile
    match form:
        case formats.JPG:
            if pixels <= _PROGRESSIVE_PIXELS:
                asked |= {"optimize": True, "progressive": True}
        case formats.AVIF:
            asked["speed"] = next(
                (speed for most, speed in _AVIF_SPEEDS if pixels <= most), _AVIF_SPEED_BEYOND
            )
        case formats.TIFF:
            asked |= {"compression": "tiff_adobe_deflate", "tiffinfo": _TIFF_PREDICTOR}
    if form.name in DEFAULT_QUALITY:
        asked["quality"] = DEFAULT_QUALITY[form.name]
    if pictures.are_animated:
        asked |= _animation(pictures, form)
    first.save(target, form.pillow, **{**asked, **options})
    target.seek(0, 2)


def _animation(pictures: Pictures, form: Format) -> Mapping[str, Any]:
    options: dict[str, Any] = {
        "save_all": True,
        "append_images": pictures.frames[1:],
        "duration": [length if length >= 20 else UNTIMED_FRAME for length in pictures.durations],
    }
    if form in (formats.WEBP, formats.PNG):
        options["loop"] = pictures.loop
    elif form is formats.GIF:
        if pictures.loop != 1:
            options["loop"] = pictures.loop
        if pictures.have_holes:
            options["disposal"] = 2  # what the frame before showed must not shine through
    return options
