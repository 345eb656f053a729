"""Colours: from the many modes that decoders give to the four that our encoders take, 8 bits each.

Where a picture changes its mode in several steps, it does so in strips: the whole picture stands in memory as
what it was and as what it becomes, and never in between.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Any, cast

from PIL import Image, ImageCms

from images import formats
from images.formats import Format
from images.pictures.decoding import DECODER_ERRORS

# Profiles of cameras and screens have some kB; of printers and scanners, which measure more, up to 2 MB.
LARGEST_PROFILE = 1024 * 1024
_RGB_ONLY = (formats.WEBP, formats.AVIF, formats.GIF)
_STRIP_PIXELS = 1_000_000


def instead(old: Image.Image, new: Image.Image) -> Image.Image:
    """The new picture; the memory of the old one is given back."""
    if new is not old:
        old.close()
    return new


def prepared(picture: Image.Image, output: Format, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    """The picture in a mode that `output` holds, and its ICC profile if that still speaks of these colours.

    Where the output has no transparency the picture is laid on white. The picture given is gone.
    """
    profile = sound(profile)
    picture, profile = _plain(picture, profile)
    if not output.alpha:
        picture = _on_white(picture)
    if output in _RGB_ONLY and picture.mode in ("L", "LA"):
        picture = instead(picture, picture.convert("RGBA" if picture.mode == "LA" else "RGB"))
    space = b"GRAY" if picture.mode in ("L", "LA") else b"RGB "
    if profile is not None and profile[16:20] != space:
        profile = None
    if profile is not None and len(profile) > LARGEST_PROFILE:
        if space == b"RGB ":
            picture = instead(picture, _in_srgb(picture, profile))
        profile = None
    return picture, profile


def sound(profile: bytes | None) -> bytes | None:
    """The profile without what may follow it; `None` if it isn't one, or has another length than it says."""
    if profile is None or profile[36:40] != b"acsp":
        return None
    length = int.from_bytes(profile[:4], "big")
    return profile[:length] if 128 <= length <= len(profile) else None


def _plain(picture: Image.Image, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    """As L, LA, RGB or RGBA."""
    mode, has_holes = picture.mode, "transparency" in picture.info
    match mode:
        case "L" | "RGB" if has_holes:  # one colour of a PNG stands for "nothing"
            return instead(picture, picture.convert("LA" if mode == "L" else "RGBA")), profile
        case "L" | "LA" | "RGB" | "RGBA":
            return picture, profile
        case "1":
            return instead(picture, picture.convert("L")), profile
        case "P" | "PA":
            plain = picture.convert("RGBA" if mode == "PA" or has_holes else "RGB")
            return instead(picture, plain), profile
        case "La" | "RGBa":
            return instead(picture, picture.convert(mode.upper())), profile
        case "RGBX":
            return instead(picture, picture.convert("RGB")), profile
        case "I" | "F":
            return instead(picture, _levels(picture, 65_535 if mode == "I" else None)), profile
        case _ if mode.startswith("I;16"):
            return instead(picture, _levels(picture, 65_535)), profile
        case _:
            return instead(picture, _in_srgb(picture, profile)), None


def _levels(picture: Image.Image, white: float | None) -> Image.Image:
    """Numbers as greys: 0 is black and `white` is white, or else the least and the greatest there are."""

    def numbers(strip: Image.Image) -> Image.Image:
        return (strip.convert("I") if strip.mode.startswith("I;16") else strip).convert("F")

    extremes = [
        end
        for box in _strips(picture)
        for end in cast("tuple[float, float]", numbers(picture.crop(box)).getextrema())
    ]
    least, greatest = min(extremes), max(extremes)
    black = 0.0 if white is not None else least
    white = greatest if white is None else max(white, greatest)
    scale = 255 / (white - black) if white > black else 0.0
    return _by_strips(
        picture,
        "L",
        lambda strip: numbers(strip).point(lambda value: value * scale - black * scale).convert("L"),
    )


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """CMYK, Lab and YCbCr, by their profile where they have a good one; RGB, by its own."""
    mode = "RGBA" if picture.mode == "RGBA" else "RGB"
    try:
        if profile is not None or picture.mode == "LAB":
            own: Any = BytesIO(profile) if profile is not None else ImageCms.createProfile("LAB")
            converted = ImageCms.profileToProfile(
                picture, ImageCms.ImageCmsProfile(own), ImageCms.createProfile("sRGB"), outputMode=mode
            )
            if converted is not None:
                return converted
    except (ImageCms.PyCMSError, *DECODER_ERRORS):
        pass  # a broken profile: better approximate colours than none
    return picture.convert(mode)


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode not in ("LA", "RGBA"):
        return picture
    plain = picture.mode.removesuffix("A")

    def laid(strip: Image.Image) -> Image.Image:
        paper = Image.new(plain, strip.size, "white")
        paper.paste(strip.convert(plain), mask=strip.getchannel("A"))
        return paper

    return instead(picture, _by_strips(picture, plain, laid))


def _strips(picture: Image.Image) -> list[tuple[int, int, int, int]]:
    rows = max(1, _STRIP_PIXELS // picture.width)
    return [
        (0, top, picture.width, min(top + rows, picture.height)) for top in range(0, picture.height, rows)
    ]


def _by_strips(picture: Image.Image, mode: str, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    changed = Image.new(mode, picture.size)
    for box in _strips(picture):
        changed.paste(change(picture.crop(box)), box)
    return changed
