"""Small pictures to try the API with, for the tests and for sample traffic: no two seeds look alike."""

from io import BytesIO
from random import Random

import pillow_heif
from PIL import Image, ImageDraw, ImageFont

from images.formats import INPUTS

_PILLOW_NAMES = {form.name: form.pillow for form in INPUTS}

pillow_heif.register_heif_opener()


def draw(seed: int, size: tuple[int, int], format: str, *, frames: int = 1) -> bytes:
    """A file of `format` ("png", "jpg", "heic", …): shapes over a gradient, with the seed written on it.

    The same arguments give the same bytes. `size` is width and height in pixels. With more than one frame
    (gif, webp, avif, png, tiff) each has a bar of another length.
    """
    pictures = [_picture(seed, size, frame / frames if frames > 1 else None) for frame in range(frames)]
    file = BytesIO()
    animation = (
        {"save_all": True, "append_images": pictures[1:], "duration": 80, "loop": 0} if frames > 1 else {}
    )
    pictures[0].save(file, _PILLOW_NAMES[format], **animation)
    return file.getvalue()


def _picture(seed: int, size: tuple[int, int], progress: float | None) -> Image.Image:
    width, height = size
    random = Random(seed)  # noqa: S311  (a drawing, not a secret)
    gradient = Image.linear_gradient("L").resize(size)
    picture = Image.composite(
        Image.new("RGB", size, _colour(random)), Image.new("RGB", size, _colour(random)), gradient
    )
    pen = ImageDraw.Draw(picture)
    for _ in range(8):
        x, y = random.randrange(width), random.randrange(height)
        reach = random.randint(1, max(2, min(size) // 4))
        shape = random.choice((pen.ellipse, pen.rectangle))
        shape((x - reach, y - reach, x + reach, y + reach), fill=_colour(random))
    if progress is not None:
        pen.rectangle((0, 0, int(width * progress), max(1, height // 8)), fill="white")
    label, font = str(seed), ImageFont.load_default(max(8, min(size) // 6))
    pen.text(
        (width / 2, height / 2),
        label,
        fill="white",
        font=font,
        anchor="mm",
        stroke_width=2,
        stroke_fill="black",
    )
    return picture


def _colour(random: Random) -> tuple[int, int, int]:
    return random.randrange(256), random.randrange(256), random.randrange(256)
