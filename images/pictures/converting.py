"""From one file to another: decode, turn upright, resize, convert colours, encode. No Django in here.

All metadata is dropped (EXIF and its GPS position, XMP, comments, text); the ICC profile stays, because
colours mean nothing without it. An animation keeps its frames where the output can hold them (webp, gif,
avif); of everything else the first picture is taken.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from PIL import ExifTags, Image

from images import formats
from images.formats import Format
from images.orders import Facts, Order, Outcome, Unconvertible
from images.pictures.colours import prepared
from images.pictures.decoding import DECODER_ERRORS, broken, check_pixels, open_image

LONGEST_SIDE = {"webp": 16_383, "jpg": 65_500, "gif": 65_535, "avif": 32_768}  # what the formats can hold
DEFAULT_QUALITY = {"webp": 80, "jpg": 85, "avif": 65}
UNTIMED_FRAME = 100  # ms: what browsers make of a frame that asks for less than 20
_ANIMATIONS = (formats.GIF, formats.WEBP, formats.AVIF, formats.PNG)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)


def convert(
    source: IO[bytes],
    target: IO[bytes],
    order: Order,
    *,
    max_pixels: int,
    tell: Callable[[int], None] = lambda percent: None,
) -> Outcome:
    """Write the picture in `source` to `target` as ordered. Both are seekable; `target` is at its end after.

    `max_pixels` bounds pixels times frames, of the input and of the output. Raises `Unconvertible` where the
    input or the order is at fault, `MemoryError` where the process has too little memory for it.
    """
    output = order.output
    assert output is not None  # noqa: S101  (compressions go another way)
    image, found, frames = open_image(source, max_pixels=max_pixels)
    with image:
        if frames > 1 and not (found in _ANIMATIONS and output.animated):
            frames = 1
        orientation = _orientation(image)
        turn = _UPRIGHT.get(orientation)
        upright = image.size[::-1] if orientation in _SIDEWAYS else image.size
        size = _size(upright, order, output, frames, max_pixels)
        pictures: list[Image.Image] = []
        durations: list[int] = []
        try:
            for picture in _decoded(image, frames, max_pixels):
                durations.append(round(picture.info.get("duration") or 0))
                profile: bytes | None = picture.info.get("icc_profile")
                if turn is not None:
                    picture = picture.transpose(turn)
                picture, profile = prepared(picture, output, profile)
                if picture.size != upright:
                    picture = picture.crop((0, 0, *upright))
                if size != upright:
                    picture = picture.resize(size, Image.Resampling.LANCZOS)
                picture.info = {}  # encoders take comments and XMP from here
                pictures.append(picture)
        except Image.DecompressionBombError:
            raise Unconvertible(
                "image_too_large", f"The image has more than {max_pixels:,} pixels."
            ) from None
        except DECODER_ERRORS:
            raise broken() from None
        loop = image.info.get("loop", 1 if found is formats.GIF else 0)
    if len({picture.mode for picture in pictures}) > 1:  # some frames of an animation have holes, some don't
        pictures = [picture.convert("RGBA") for picture in pictures]
    _encode(pictures, target, order, output, profile, durations, loop)
    return Outcome(
        Facts(found, *upright, source.seek(0, 2)),
        Facts(output, *size, target.tell()),
    )


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8. Broken EXIF is no reason to refuse a picture: then it is 1."""
    if image.format == "TIFF":  # Pillow turns these itself
        return 1
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except DECODER_ERRORS:
        return 1


def _size(
    upright: tuple[int, int], order: Order, output: Format, frames: int, max_pixels: int
) -> tuple[int, int]:
    width, height = upright
    scale = min(
        (
            asked / given
            for asked, given in ((order.width, width), (order.height, height))
            if asked is not None
        ),
        default=1.0,
    )
    size = max(1, round(width * scale)), max(1, round(height * scale))
    longest = LONGEST_SIDE.get(output.name)
    if longest is not None and max(size) > longest:
        raise Unconvertible(
            "image_too_large",
            f"The result would be {size[0]:,} x {size[1]:,} pixels; this format holds {longest:,} a side.",
            "width" if size[0] > longest else "height",
        )
    if size[0] * size[1] * frames > max_pixels:
        raise Unconvertible(
            "image_too_large",
            f"The result would be {size[0]:,} x {size[1]:,} pixels; all frames may have {max_pixels:,}.",
            "width" if order.width is not None else "height",
        )
    return size


def _decoded(image: Image.Image, frames: int, max_pixels: int) -> Iterator[Image.Image]:
    for number in range(frames):
        if frames > 1:
            image.seek(number)
            # A GIF's later frames may reach over the canvas that its header spoke of.
            check_pixels(image.size, frames, max_pixels)
        image.load()
        yield image.copy()


def _encode(
    pictures: Sequence[Image.Image],
    target: IO[bytes],
    order: Order,
    output: Format,
    profile: bytes | None,
    durations: Sequence[int],
    loop: int,
) -> None:
    options: dict[str, Any] = {}
    name = output.name
    if profile is not None:
        options["icc_profile"] = profile
    if name in DEFAULT_QUALITY:
        options["quality"] = order.quality or DEFAULT_QUALITY[name]
    if name == "jpg":
        options |= {"optimize": True, "progressive": True}
    elif name == "tiff":
        options["compression"] = "tiff_adobe_deflate"
    if len(pictures) > 1:
        options |= {
            "save_all": True,
            "append_images": pictures[1:],
            "duration": [length if length >= 20 else UNTIMED_FRAME for length in durations],
        }
        if name == "webp":
            options["loop"] = loop
        elif name == "gif":
            if loop != 1:
                options["loop"] = loop
            options["disposal"] = (
                2  # each frame is whole: what the one before it showed must not shine through
            )
    pictures[0].save(target, output.pillow, **options)
    target.seek(0, 2)
