"""Colours: from the many modes that decoders give to the four that our encoders take, 8 bits each."""

from io import BytesIO
from typing import Any

from PIL import Image, ImageCms

from images import formats
from images.formats import Format
from images.pictures.decoding import DECODER_ERRORS

_RGB_ONLY = (formats.WEBP, formats.AVIF, formats.GIF)


def prepared(picture: Image.Image, output: Format, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    """The picture in a mode that `output` holds, and its ICC profile if that still speaks of these colours.

    Where the output has no transparency the picture is laid on white.
    """
    picture, profile = _plain(picture, profile)
    if not output.alpha:
        picture = _on_white(picture)
    if output in _RGB_ONLY and picture.mode in ("L", "LA"):
        picture = picture.convert("RGBA" if picture.mode == "LA" else "RGB")
    space = b"GRAY" if picture.mode in ("L", "LA") else b"RGB "
    return picture, profile if profile is not None and profile[16:20] == space else None


def _plain(picture: Image.Image, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    """As L, LA, RGB or RGBA."""
    mode, has_holes = picture.mode, "transparency" in picture.info
    match mode:
        case "L" | "RGB" if has_holes:  # one colour of a PNG stands for "nothing"
            return picture.convert("LA" if mode == "L" else "RGBA"), profile
        case "L" | "LA" | "RGB" | "RGBA":
            return picture, profile
        case "1":
            return picture.convert("L"), profile
        case "P" | "PA":
            return picture.convert("RGBA" if mode == "PA" or has_holes else "RGB"), profile
        case "La" | "RGBa":
            return picture.convert(mode.upper()), profile
        case "RGBX":
            return picture.convert("RGB"), profile
        case "I" | "F":
            return _levels(picture, 65_535 if mode == "I" else None), profile
        case _ if mode.startswith("I;16"):
            return _levels(picture.convert("I"), 65_535), profile
        case _:
            return _in_srgb(picture, profile), None


def _levels(picture: Image.Image, white: float | None) -> Image.Image:
    """Numbers as greys: 0 is black and `white` is white, or else the least and the greatest there are."""
    least, greatest = (float(end) for end in picture.convert("F").getextrema())  # type: ignore[arg-type]
    black = 0.0 if white is not None else least
    white = greatest if white is None else max(white, greatest)
    scale = 255 / (white - black) if white > black else 0.0
    return picture.convert("F").point(lambda value: value * scale - black * scale).convert("L")


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """CMYK, Lab and YCbCr, by their profile where they have a good one."""
    try:
        if profile is not None or picture.mode == "LAB":
            own: Any = BytesIO(profile) if profile is not None else ImageCms.createProfile("LAB")
            converted = ImageCms.profileToProfile(
                picture, ImageCms.ImageCmsProfile(own), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            if converted is not None:
                return converted
    except (ImageCms.PyCMSError, *DECODER_ERRORS):
        pass  # a broken profile: better approximate colours than none
    return picture.convert("RGB")


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode not in ("LA", "RGBA"):
        return picture
    plain = picture.mode.removesuffix("A")
    paper = Image.new(plain, picture.size, "white")
    paper.paste(picture.convert(plain), mask=picture.getchannel("A"))
    return paper
