"""Limits that hold before anything is decoded."""

import struct
import time
import zlib
from io import BytesIO

import pytest
from PIL import Image

from images import formats
from images.drawings import draw
from images.orders import Unconvertible
from images.pictures.decoding import MAX_FRAMES, limit_pixels, open_image

LIMIT = 50_000_000


def refused(content, max_pixels=LIMIT):
    with pytest.raises(Unconvertible) as caught:
        open_image(BytesIO(content), max_pixels=max_pixels)
    return caught.value.code


def png_bomb(width, height):
    """A small file that unpacks to `width` x `height` pixels of nothing."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_by_its_header():
    bomb = png_bomb(20_000, 20_000)
    assert len(bomb) < 100_000
    started = time.monotonic()
    assert refused(bomb) == "image_too_large"
    assert time.monotonic() - started < 0.5


@pytest.mark.parametrize("size", [(7_001, 7_143), (10_000, 9_999), (50_000_001, 1)])
def test_the_pixel_limit_is_exact_where_pillow_would_only_warn(size):
    assert refused(png_bomb(*size)) == "image_too_large"


def test_pillow_itself_refuses_more_than_the_limit_wherever_it_meets_them():
    limit_pixels(1_000)
    Image.open(BytesIO(draw(1, (100, 10), "png")))
    with pytest.raises(Image.DecompressionBombError):
        Image.open(BytesIO(draw(1, (101, 10), "png")))


def test_as_many_pixels_as_the_limit_are_taken():
    image, found, frames = open_image(BytesIO(draw(1, (100, 50), "png")), max_pixels=5_000)
    assert (image.size, found, frames) == ((100, 50), formats.PNG, 1)


@pytest.mark.parametrize("format", ["gif", "webp", "avif", "png", "tiff"])
def test_every_frame_counts_against_the_pixel_limit(format):
    animation = draw(1, (40, 25), format, frames=5)
    assert open_image(BytesIO(animation), max_pixels=5_000)[2] == 5
    assert refused(animation, max_pixels=4_999) == "image_too_large"


def test_very_many_tiny_frames_are_refused():
    frames = [Image.new("L", (1, 1), shade % 256) for shade in range(MAX_FRAMES + 1)]
    file = BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert refused(file.getvalue()) == "image_too_large"


def test_a_gif_whose_later_frame_is_a_bomb_is_refused():
    from images.orders import Order
    from images.pictures.converting import convert

    frames = [Image.new("P", (20, 20), 0), Image.new("P", (20, 20), 0)]
    frames[1].paste(1, (5, 5, 10, 10))
    for frame in frames:
        frame.putpalette([255, 0, 0, 0, 0, 255])
    file = BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=100)
    content = file.getvalue()
    place = content.rindex(b"\x2c" + struct.pack("<HHHH", 5, 5, 5, 5)) + 5  # the second frame's size
    for side in (5_000, 60_000):
        grown = content[:place] + struct.pack("<HH", side, side) + content[place + 4 :]
        with pytest.raises(Unconvertible, match="pixels"):
            convert(BytesIO(grown), BytesIO(), Order(formats.WEBP), max_pixels=40_000_000)


@pytest.mark.parametrize(
    "content",
    [
        b"Just some text, honestly.",
        b"%PDF-1.7\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\0" * 1000,
        b"x",
    ],
)
def test_what_is_no_image_of_ours_is_unsupported(content):
    assert refused(content) == "unsupported_format"


@pytest.mark.parametrize("format", ["PPM", "ICO", "TGA", "PCX", "JPEG2000", "EPS"])
def test_decoders_that_are_not_listed_are_never_tried(format):
    file = BytesIO()
    Image.new("RGB", (16, 16)).save(file, format)
    assert refused(file.getvalue()) == "unsupported_format"
