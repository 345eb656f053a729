"""From one file to another: decode, turn upright, resize, convert colours, encode. No Django in here.

All metadata is dropped (EXIF and its GPS position, XMP, comments, text); the ICC profile stays, because
colours mean nothing without it. An animation keeps its frames where the output can hold them (webp, gif,
avif); of everything else the first picture is taken.

A picture is decoded once and never copied without need: each step gives back the memory of the one before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import SEEK_END
from typing import IO

from PIL import ExifTags, Image

from images import formats
from images.formats import Format
from images.orders import Facts, Order, Outcome, Unconvertible
from images.pictures.colours import instead, prepared, sound
from images.pictures.compressing import check_compressible, compress, tables_of
from images.pictures.decoding import DECODER_ERRORS, broken, check_pixels, open_image
from images.pictures.encoding import DEFAULT_QUALITY, LONGEST_SIDE, Pictures, write

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
_TURNED_SIDEWAYS = [_UPRIGHT[orientation] for orientation in _SIDEWAYS]
# A JPEG is decoded at a half, quarter or eighth where that is still so much larger than the result; any
# other picture that is much too large is reduced to about so much before it is resampled.
_REDUCING_GAP = 3.0


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is done to each picture."""

    output: Format
    stored: tuple[int, int]
    turn: Image.Transpose | None
    size: tuple[int, int]
    max_pixels: int
    keeps_palette: bool


def convert(
    source: IO[bytes],
    target: IO[bytes],
    order: Order,
    *,
    max_pixels: int,
    tell: Callable[[int], None] = lambda percent: None,
) -> Outcome:
    """Write the picture in `source` to `target` as ordered. Both are seekable; `target` is at its end after.

    `max_pixels` bounds pixels times frames, of the input and of the output. `tell` is called with the
    progress in percent. Raises `Unconvertible` where the input or the order is at fault, `MemoryError` where
    the process has too little memory for it.
    """
    given = source.seek(0, SEEK_END)
    image, found, frames = open_image(source, max_pixels=max_pixels)
    if order.output is None:
        check_compressible(found, frames)
    output = order.output or found
    keeps_frames = found in _ANIMATIONS and (output.animated or order.output is None)
    # The picture that stands for an animation where none can be shown may not be one of its frames.
    stand_in = 1 if getattr(image, "default_image", False) and keeps_frames and frames > 2 else 0
    frames = frames - stand_in if keeps_frames else 1
    orientation = _orientation(image)
    upright = image.size[::-1] if orientation in _SIDEWAYS else image.size
    size = _size(upright, order, output, frames, max_pixels)
    keeps_palette = order.output is None and found is formats.PNG and frames == 1 and size == upright
    plan = _Plan(output, image.size, _UPRIGHT.get(orientation), size, max_pixels, keeps_palette)
    tell(5)
    try:
        tables = tables_of(image) if order.output is None and size == upright else None
        if frames == 1:
            picture = _decoded(image, plan)
            profile: bytes | None = picture.info.get("icc_profile")
            del image  # and what its decoder keeps
            tell(40)
            picture, profile = _made(picture, profile, plan)
            pictures = Pictures([picture], profile=profile)
        else:
            pictures = _all_frames(image, found, range(stand_in, stand_in + frames), plan, tell)
            del image
    except Image.DecompressionBombError:
        raise Unconvertible("image_too_large", f"The image has more than {max_pixels:,} pixels.") from None
    except DECODER_ERRORS as error:
        raise broken(error) from None
    tell(50)
    if order.output is None:
        compress(pictures, target, found, order, given=given, tables=tables, tell=tell)
    elif output.name in DEFAULT_QUALITY and order.quality is not None:
        write(pictures, target, output, quality=order.quality)
    else:
        write(pictures, target, output)
    return Outcome(Facts(found, *upright, given), Facts(output, *size, target.tell()))


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


def _decoded(image: Image.Image, plan: _Plan) -> Image.Image:
    """The one picture there is to decode. A JPEG that becomes much smaller may come out smaller already."""
    if image.format in ("JPEG", "MPO"):
        width, height = plan.size if plan.turn not in _TURNED_SIDEWAYS else plan.size[::-1]
        image.draft(None, (round(width * _REDUCING_GAP), round(height * _REDUCING_GAP)))
        image.load()
        return _plain(image)
    image.load()
    return _whole(image, plan)


def _whole(image: Image.Image, plan: _Plan) -> Image.Image:
    """Its pixels, on a canvas as large as the header said: decoding may have brought up another size."""
    check_pixels(image.size, 1, plan.max_pixels)
    picture = _plain(image)
    return picture if picture.size == plan.stored else instead(picture, picture.crop((0, 0, *plan.stored)))


def _plain(image: Image.Image) -> Image.Image:
    """The same pixels, not copied; without what a decoder adds to its images, for encoders write that."""
    return image._new(image.im)


def _all_frames(
    image: Image.Image, found: Format, numbers: range, plan: _Plan, tell: Callable[[int], None]
) -> Pictures:
    frames: list[Image.Image] = []
    durations: list[int] = []
    profile: bytes | None = None
    for number in numbers:
        image.seek(number)
        # A GIF's later frames may reach over the canvas that its header spoke of.
        check_pixels(image.size, len(numbers), plan.max_pixels)
        image.load()
        durations.append(round(image.info.get("duration") or 0))
        picture, profile = _made(_whole(image, plan), image.info.get("icc_profile"), plan)
        if picture.im is image.im:  # the decoder goes on drawing on it
            picture = picture.copy()
        frames.append(picture)
        tell(5 + 45 * len(frames) // len(numbers))
    if len({frame.mode for frame in frames}) > 1:  # some frames of an animation have holes, some don't
        frames = [instead(frame, frame.convert("RGBA")) for frame in frames]
    loop = image.info.get("loop", 1 if found is formats.GIF else 0)
    return Pictures(frames, durations, loop, profile)


def _made(picture: Image.Image, profile: bytes | None, plan: _Plan) -> tuple[Image.Image, bytes | None]:
    """The picture as it is to be encoded; the one given is gone."""
    if plan.turn is not None:
        picture = instead(picture, picture.transpose(plan.turn))
    if plan.keeps_palette and picture.mode in ("1", "P"):
        picture.info = {name: picture.info[name] for name in ("transparency",) if name in picture.info}
        return picture, sound(profile)
    picture, profile = prepared(picture, plan.output, profile)
    if picture.size != plan.size:
        picture = instead(
            picture, picture.resize(plan.size, Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)
        )
    picture.info = {}  # encoders take comments and XMP from here
    return picture, profile
