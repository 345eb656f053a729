"""Opening pictures that strangers sent: allow-listed decoders, and limits that hold before any decoding."""

import os
import struct
import warnings
import zlib
from contextlib import suppress
from typing import IO

import pillow_heif
from PIL import AvifImagePlugin, Image, UnidentifiedImageError

from images.formats import INPUTS, Format, input_detected
from images.orders import Unconvertible

# Everything Pillow's decoders were seen to raise on broken files. Not `Exception`: a time limit that strikes
# while decoding is one, and says nothing about the file.
DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
# Frames cost time even where they have hardly any pixels.
MAX_FRAMES = 2_000
# Longest prefix that any decoder's own test looks at.
_PREFIX_BYTES = 32
# Formats whose pictures after the first we would not write anyway: thumbnails, gain maps, bursts.
_FIRST_PICTURE_ONLY = ("MPO", "HEIF")

_PILLOW_NAMES = [form.pillow for form in INPUTS]

# Several pictures are decoded at a time, each by a box of its own: more threads would only cost memory.
_THREADS = min(4, os.cpu_count() or 1)

AvifImagePlugin.DEFAULT_MAX_THREADS = _THREADS
# What HEIC brings besides its picture stays unread.
pillow_heif.register_heif_opener(
    decode_threads=_THREADS, thumbnails=False, depth_images=False, aux_images=False
)
Image.init()


def limit_pixels(most: int) -> None:
    """Make Pillow itself refuse larger pictures, wherever in a file their size turns up.

    It raises at twice its limit and warns from it on, so the limit is set to half and the warning is off.
    """
    Image.MAX_IMAGE_PIXELS = most // 2
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)


def open_image(file: IO[bytes], *, max_pixels: int) -> tuple[Image.Image, Format, int]:
    """The picture, its format and its number of frames; only its header has been read.

    Raises `Unconvertible`: not one of our formats, a broken header, or more than `max_pixels` pixels times
    frames.
    """
    limit_pixels(max_pixels)
    try:
        image = Image.open(file, formats=_PILLOW_NAMES)
        found = input_detected(image.format or "")
        check_pixels(image.size, 1, max_pixels)
        frames = _frames(image)
    except Image.DecompressionBombError:
        raise Unconvertible("image_too_large", f"The image has more than {max_pixels:,} pixels.") from None
    except DECODER_ERRORS as error:
        if isinstance(error, UnidentifiedImageError) and not _looks_like_ours(file):
            names = ", ".join(form.name for form in INPUTS)
            raise Unconvertible(
                "unsupported_format", f"The file is not an image in a format we read ({names})."
            ) from None
        raise broken(error) from None
    if frames > MAX_FRAMES:
        raise Unconvertible("image_too_large", f"The image has more than {MAX_FRAMES:,} frames or pages.")
    check_pixels(image.size, frames, max_pixels)
    return image, found, frames


def _frames(image: Image.Image) -> int:
    """How many there are; of a TIFF's, which take a third of a millisecond each to count, not all."""
    if image.format in _FIRST_PICTURE_ONLY:
        return 1
    if image.format == "TIFF":
        frames = 1
        with suppress(EOFError):
            while frames <= MAX_FRAMES:
                image.seek(frames)
                frames += 1
        image.seek(0)
        return frames
    return getattr(image, "n_frames", 1)


def broken(error: Exception) -> Unconvertible:
    """What to tell of a decoder's error. Raises `MemoryError` if that is what it speaks of."""
    if "memory" in str(error).lower():
        raise MemoryError from error
    return Unconvertible("invalid_request", "The image is damaged or truncated: it can't be decoded.")


def check_pixels(size: tuple[int, int], frames: int, most: int) -> None:
    """Raise `Unconvertible` for more than `most` pixels in all frames together."""
    width, height = size
    if width * height * frames > most:
        times = f" in {frames:,} frames" if frames > 1 else ""
        raise Unconvertible(
            "image_too_large",
            f"The image has {width:,} x {height:,} pixels{times}; at most {most:,} are taken.",
        )


def _looks_like_ours(file: IO[bytes]) -> bool:
    """Whether the first bytes are those of a format we read, so that the rest of it must be broken."""
    file.seek(0)
    prefix = file.read(_PREFIX_BYTES)
    accepts = (Image.OPEN[name][1] for name in _PILLOW_NAMES)
    try:
        return any(accept is not None and accept(prefix) is True for accept in accepts)
    except DECODER_ERRORS:  # a prefix of three bytes, say
        return False
