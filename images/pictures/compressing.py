"""Making a file smaller that keeps its format.

What each format gives up for it:

- JPG, WebP, AVIF: quality, from the one asked for downwards.
- PNG: colours. Below quality 100 it gets a palette: with as many colours as the quality says, dithered; or
  where something is transparent with 256, not dithered, for our quantiser does badly there with fewer.
  Without a quality, or where that is smaller, no pixel changes. Nor does one of an animation.
- GIF: colours, likewise. An animation keeps its frames.
- TIFF: nothing. It is deflated.

A result is at most as large as its input wherever the format has one that is, at a lower quality than asked
for if need be; where it has none the smallest is given, and its size is in the answer beside the input's.
With `target_bytes` that is an error, which says how small it gets.
"""

import math
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import IO, Any

from PIL import Image, ImageChops, JpegImagePlugin

from images import formats
from images.formats import Format
from images.orders import Order, Unconvertible
from images.pictures.decoding import DECODER_ERRORS
from images.pictures.encoding import DEFAULT_QUALITY, MOST_COLOURS, Pictures, write

_LOSSY = (formats.JPG, formats.WEBP, formats.AVIF)
_BEST_QUALITY = 95  # where a search for a size begins: beyond it files grow, and nobody sees why
_CLOSE = 0.9  # of the bytes there are is close enough to stop a search
_MOST_TRIES = 8

_Make = Callable[[int], bytes]


def check_compressible(found: Format, frames: int) -> None:
    """Raises `Unconvertible` for what can't be written again in its own format."""
    name = found.name.upper()
    if found in (formats.BMP, formats.HEIC):
        why = "has no compression" if found is formats.BMP else "is read here, but not written"
        raise Unconvertible("unsupported_format", f"{name} {why}: convert the image to webp or avif instead.")
    if found is formats.TIFF and frames > 1:
        raise Unconvertible(
            "unsupported_format",
            f"This TIFF has {frames:,} pages, and only one would be kept: send them one by one.",
        )


def tables_of(image: Image.Image) -> dict[str, Any] | None:
    """What a JPEG was encoded with. Written with the same tables, it loses next to nothing."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.mode not in ("L", "RGB"):
        return None
    return {"qtables": image.quantization, "subsampling": JpegImagePlugin.get_sampling(image)}


def compress(
    pictures: Pictures,
    target: IO[bytes],
    form: Format,
    order: Order,
    *,
    given: int,
    tables: dict[str, Any] | None,
    tell: Callable[[int], None],
) -> None:
    """Write them to `target`. `given` is the input's size in bytes; `tables` are its own, of a JPEG that is
    neither turned nor resized."""
    best = _Best(order.target_bytes, given)
    if form in _LOSSY:
        _by_quality(best, pictures, form, order, tables, tell)
    elif form is formats.PNG:
        _png(best, pictures, order, tell)
    elif form is formats.GIF:
        _gif(best, pictures, order, tell)
    else:
        best.consider(_encoded(pictures, form))
    target.write(best.taken())


class _Best:
    """The results so far. Good enough is what is neither larger than its target nor than its input."""

    def __init__(self, target: int | None, given: int) -> None:
        self.target = target
        self.enough = given if target is None else min(target, given)
        self._found: bytes | None = None
        self._smallest: bytes | None = None

    @property
    def is_found(self) -> bool:
        return self._found is not None

    def consider(self, made: bytes) -> bool:
        """Whether this is good enough. Of those that are, the last is taken."""
        if self._smallest is None or len(made) < len(self._smallest):
            self._smallest = made
        if len(made) <= self.enough:
            self._found = made
            return True
        return False

    def taken(self) -> bytes:
        made = self._found if self._found is not None else self._smallest
        assert made is not None  # noqa: S101  (there is one at least)
        if self.target is not None and len(made) > self.target:
            raise Unconvertible(
                "invalid_request",
                f"The smallest this image gets without another size or format is {len(made):,} bytes.",
                "target_bytes",
            )
        return made


def _by_quality(
    best: _Best,
    pictures: Pictures,
    form: Format,
    order: Order,
    tables: dict[str, Any] | None,
    tell: Callable[[int], None],
) -> None:
    usual = DEFAULT_QUALITY[form.name] if order.target_bytes is None else _BEST_QUALITY
    top = order.quality or usual
    make = partial(_at_quality, pictures, form)
    first = make(top)
    if best.consider(first):
        return
    for again in _without_loss(pictures, form, tables):
        if best.consider(again):
            return
    _search(best, make, top, first, least=1, tell=tell)


def _at_quality(pictures: Pictures, form: Format, quality: int) -> bytes:
    return _encoded(pictures, form, quality=quality)


def _without_loss(pictures: Pictures, form: Format, tables: dict[str, Any] | None) -> list[bytes]:
    """What may be smaller than the quality asked for, of an input made with a lower one or without loss."""
    if form is formats.JPG and tables is not None:
        try:
            return [_encoded(pictures, form, quality=-1, **tables)]
        except DECODER_ERRORS:  # tables that no encoder takes
            return []
    if form is formats.WEBP:
        return [_encoded(pictures, form, lossless=True, quality=80)]
    return []


def _png(best: _Best, pictures: Pictures, order: Order, tell: Callable[[int], None]) -> None:
    without_loss = [_encoded(pictures, formats.PNG, optimize=True)]
    if not pictures.are_animated:
        simpler = _simpler(pictures.first)
        if simpler is not None:
            without_loss.append(_encoded(_with(pictures, simpler), formats.PNG, optimize=True))
    whole = min(without_loss, key=len)
    is_enough = best.consider(whole)
    by_size_alone = order.quality is None and order.target_bytes is not None
    gives_up_colours = not is_enough if by_size_alone else order.quality not in (None, 100)
    if pictures.are_animated or not gives_up_colours:
        return
    picture = _true(pictures.first)
    top = MOST_COLOURS if picture.mode in ("LA", "RGBA") else _colours(order.quality)

    def make(colours: int) -> bytes:
        return _encoded(_with(pictures, _with_palette(picture, colours)), formats.PNG, optimize=True)

    first = make(top)
    if len(first) < len(whole) and best.consider(first):
        return
    if not best.is_found:
        _search(best, make, top, first, least=2, tell=tell)


def _gif(best: _Best, pictures: Pictures, order: Order, tell: Callable[[int], None]) -> None:
    opaque = _without_idle_holes(pictures)
    top = _colours(order.quality)

    def make(colours: int) -> bytes:
        frames = (
            opaque.frames if colours == MOST_COLOURS else [_few(frame, colours) for frame in opaque.frames]
        )
        held = Pictures(frames, opaque.durations, opaque.loop)
        return _encoded(
            held, formats.GIF, **({"disposal": 2} if opaque.are_animated and opaque.have_holes else {})
        )

    first = make(top)
    if not best.consider(first) and (order.quality is not None or order.target_bytes is not None):
        _search(best, make, top, first, least=2, tell=tell)


def _search(
    best: _Best, make: _Make, top: int, first: bytes, *, least: int, tell: Callable[[int], None]
) -> None:
    """Look for the highest number from `least` on whose result is good enough; `top` with `first` is not.

    Sizes grow roughly as an exponential of the number, so each guess goes where that leads, between what is
    known to be too large and what is small enough. It ends when a result fills most of what it may have.
    """
    low, high = least - 1, top
    low_size, high_size = len(first) / 20, float(len(first))
    for tries in range(1, _MOST_TRIES + 1):
        if high - low <= 1:
            break
        share = (
            math.log(best.enough / low_size) / math.log(high_size / low_size) if low_size < best.enough else 0
        )
        guess = min(max(round(low + (high - low) * share), low + 1), high - 1)
        made = make(guess)
        tell(50 + 45 * tries // _MOST_TRIES)
        if best.consider(made):
            low, low_size = guess, len(made)
            if len(made) >= best.enough * _CLOSE:
                break
        else:
            high, high_size = guess, float(len(made))
    if not best.is_found and high > least:
        best.consider(make(least))


def _colours(quality: int | None) -> int:
    return max(2, round(MOST_COLOURS * (quality or 100) / 100))


def _with(pictures: Pictures, picture: Image.Image) -> Pictures:
    return Pictures([picture], profile=pictures.profile)


def _encoded(pictures: Pictures, form: Format, **options: Any) -> bytes:
    file = BytesIO()
    write(pictures, file, form, **options)
    return file.getvalue()


def _simpler(picture: Image.Image) -> Image.Image | None:
    """The same pixels with less to write: by a palette, or without an alpha channel that hides nothing."""
    if picture.mode in ("1", "L", "P"):
        return None
    colours = picture.getcolors(MOST_COLOURS)
    if colours is not None:
        palette = _few(picture, MOST_COLOURS)
        if _are_same(palette.convert(picture.mode), picture):
            return palette
    if picture.mode in ("LA", "RGBA") and picture.getextrema()[-1] == (255, 255):
        return picture.convert(picture.mode.removesuffix("A"))
    return None


def _are_same(one: Image.Image, other: Image.Image) -> bool:
    return ImageChops.difference(one, other).getbbox(alpha_only=False) is None


def _true(picture: Image.Image) -> Image.Image:
    """In full colours, where it came with a palette or in black and white."""
    if picture.mode == "P":
        return picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    return picture.convert("L") if picture.mode == "1" else picture


def _few(picture: Image.Image, colours: int) -> Image.Image:
    """With a palette, not dithered. Only the octree knows of transparency."""
    if picture.mode == "LA":
        picture = picture.convert("RGBA")
    method = Image.Quantize.FASTOCTREE if picture.mode == "RGBA" else Image.Quantize.MEDIANCUT
    return picture.quantize(colours, method)


def _with_palette(picture: Image.Image, colours: int) -> Image.Image:
    """With a palette; dithered where nothing shines through, for Pillow dithers no transparency."""
    palette = _few(picture, colours)
    if picture.mode in ("LA", "RGBA"):
        return palette
    return picture.convert("RGB").quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


def _without_idle_holes(pictures: Pictures) -> Pictures:
    """Without an alpha channel that hides nothing: then frames may be drawn over one another."""
    if not pictures.have_holes or any(frame.getextrema()[-1] != (255, 255) for frame in pictures.frames):
        return pictures
    frames = [frame.convert("RGB") for frame in pictures.frames]
    return Pictures(frames, pictures.durations, pictures.loop, pictures.profile)
