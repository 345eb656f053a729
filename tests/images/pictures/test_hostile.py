"""Every hostile picture gets its answer, as docs/decisions/0019-the-box.md has it, and nothing else happens.

All of them go through real boxes, under the limits of the settings' defaults.
"""

import tempfile
import time
import zipfile
from dataclasses import replace
from io import BytesIO

import psutil
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from images import formats
from images.drawings import draw
from images.formats import INPUTS, OUTPUTS
from images.orders import Order, Unconvertible
from images.pictures import box
from images.pictures.limits import Limits
from tests.images.pictures import hostile
from tests.images.pictures.hostile import saved

LIMITS = Limits.within(memory_bytes=3 * 1024**3, max_pixels=50_000_000)
TOO_LARGE, DAMAGED, NO_IMAGE = "image_too_large", "invalid_request", "unsupported_format"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def converted(content, output=formats.PNG, **limits):
    """The result's bytes, or the code of the refusal. Anything else fails the test."""
    with tempfile.TemporaryFile() as target:
        try:
            box.convert(BytesIO(content), target, Order(output), limits=replace(LIMITS, **limits))
        except Unconvertible as error:
            return error.code
        target.seek(0)
        return target.read()


def picture_of(content, output=formats.PNG):
    result = converted(content, output)
    assert isinstance(result, bytes), result
    picture = Image.open(BytesIO(result))
    picture.load()
    return picture


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left_behind():
    """After the whole set: no box, the one template as it was, and this process as large as before."""
    converted(draw(1, (60, 40), "png"))
    us = psutil.Process()
    (template,) = [child for child in us.children() if "pictures.template" in " ".join(child.cmdline())]
    before = us.memory_info().rss, template.memory_info().rss, us.num_fds(), template.num_fds()
    yield
    assert template.is_running()
    assert template.children() == []
    after = us.memory_info().rss, template.memory_info().rss, us.num_fds(), template.num_fds()
    assert after[0] - before[0] < 100 * 2**20  # the pictures that the tests themselves have made
    assert after[1] - before[1] < 2 * 2**20
    assert after[2:] == before[2:]


AVIF, HEIC = (draw(1, (64, 48), form) for form in ("avif", "heic"))

BOMBS = {
    "a PNG of 400 megapixels": (lambda: hostile.png(20_000, 20_000), TOO_LARGE),
    "a PNG that says it is 100,000 a side": (lambda: hostile.png(100_000, 100_000, rows=9), TOO_LARGE),
    "a PNG with a profile of 64 MB": (lambda: hostile.png_with_profile(64), DAMAGED),
    "a PNG with a text of 60 MB": (lambda: hostile.png_with_text(60, 1), DAMAGED),
    "a PNG with 80 texts of 1 MB": (lambda: hostile.png_with_text(1, 80), TOO_LARGE),
    "a GIF of 4,294 megapixels": (lambda: hostile.gif(65_535, 65_535), TOO_LARGE),
    "a GIF of 3,000 frames": (lambda: hostile.gif_of_frames(3_000), TOO_LARGE),
    "a GIF of 1,500 frames on 400 x 400": (lambda: hostile.gif_of_frames(1_500, 400), TOO_LARGE),
    "a WebP of 268 megapixels": (lambda: hostile.webp_on_a_canvas(16_384, 16_384), TOO_LARGE),
    "a WebP of 2 frames on 6,000 x 6,000": (lambda: hostile.webp_on_a_canvas(6_000, 6_000), TOO_LARGE),
    "a WebP of 3,000 frames": (lambda: hostile.webp_of_frames(3_000), TOO_LARGE),
    "an AVIF of 64 megapixels": (lambda: hostile.with_declared_size(AVIF, 8_000, 8_000), TOO_LARGE),
    "an AVIF that says it is 40,000 a side": (
        lambda: hostile.with_declared_size(AVIF, 40_000, 40_000),
        DAMAGED,
    ),
    "a HEIC that says it is 40,000 a side": (
        lambda: hostile.with_declared_size(HEIC, 40_000, 40_000),
        TOO_LARGE,
    ),
    "a HEIC that says it is 5,000 a side": (lambda: hostile.with_declared_size(HEIC, 5_000, 5_000), DAMAGED),
    "a TIFF of 3,600 megapixels": (lambda: hostile.tiff(60_000, 60_000), TOO_LARGE),
    "a TIFF that ends early": (lambda: hostile.tiff(7_000, 7_000), DAMAGED),
    "a TIFF of 200,000 pages": (lambda: hostile.tiff(1, 1, pages=200_000), TOO_LARGE),
    "a TIFF of 10 pages that are one": (lambda: hostile.tiff(3_000, 3_000, pages=10), TOO_LARGE),
    "a TIFF whose pages go in a circle": (lambda: hostile.tiff(8, 8, pages=3, next_page=16), DAMAGED),
}


@pytest.mark.parametrize(("make", "answer"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_before_it_goes_off(make, answer):
    content = make()
    assert len(content) < 25_000_000
    started = time.monotonic()
    assert converted(content) == answer
    assert time.monotonic() - started < 5


def test_as_much_as_is_allowed_unpacks_from_very_little():
    """Rows that a PNG lacks are black: its decoder doesn't mind."""
    for content in (hostile.png(7_000, 7_000, rows=9), hostile.tiff(7_000, 7_000, data=hostile.zeros(47))):
        assert len(content) < 60_000
        assert picture_of(content).size == (7_000, 7_000)


def test_texts_behind_the_picture_are_never_unpacked():
    assert picture_of(hostile.png_with_text(60, 5, at_the_end=True)).info == {}


def test_a_jpeg_of_a_thousand_scans_runs_into_the_time_limit():
    content = hostile.jpeg_of_scans((4_000, 3_000), 2_000)
    assert len(content) < 25_000_000
    assert converted(content, seconds=1) == TOO_LARGE


@pytest.mark.parametrize("form", INPUTS, ids=lambda form: form.name)
def test_a_picture_cut_off_at_any_kilobyte_is_damaged(form):
    options = {
        "jpg": {"quality": 90},
        "webp": {"quality": 90},
        "avif": {"quality": 85},
        "heic": {"quality": 80},
    }
    size = {"bmp": (80, 60), "tiff": (80, 60), "png": (90, 60), "gif": (150, 100)}.get(form.name, (240, 160))
    picture = Image.merge("RGB", [Image.effect_noise(size, 60) for _ in range(3)])
    content = saved(picture, form.pillow, **options.get(form.name, {}))
    assert 8_000 < len(content) < 60_000
    assert picture_of(content).size == size
    answers = {length: converted(content[:length]) for length in range(1024, len(content), 1024)}
    assert set(answers.values()) == {DAMAGED}


PAYLOADS = {
    "html": b"<script>alert('SECRET')</script>",
    "js": b"*/=1;alert('SECRET')//",
    "php": b"<?php system('SECRET') ?>",
    "pdf": b"%PDF-1.4 SECRET",
}


def archive():
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("SECRET.class", b"SECRET")
    return file.getvalue()


@pytest.mark.parametrize("form", INPUTS, ids=lambda form: form.name)
def test_what_follows_a_picture_is_dropped(form):
    """Image and zip, html, script or jar in one file: the picture is all that comes out."""
    for payload in (*PAYLOADS.values(), archive()):
        for output in (formats.PNG, formats.GIF, formats.JPG):
            result = converted(draw(1, (60, 40), form.name) + payload, output)
            assert isinstance(result, bytes)
            assert b"SECRET" not in result
            assert not zipfile.is_zipfile(BytesIO(result))


def test_what_hides_in_a_picture_is_dropped():
    text = PngInfo()
    text.add_text("Comment", PAYLOADS["php"].decode())
    text.add_itxt("XML:com.adobe.xmp", PAYLOADS["html"].decode())
    picture = Image.new("RGB", (60, 40), "red")
    for content in (
        saved(picture, "PNG", pnginfo=text),
        saved(picture, "JPEG", comment=PAYLOADS["html"]),
        saved(picture, "GIF", comment=PAYLOADS["js"]),
        saved(picture, "WEBP", xmp=PAYLOADS["html"]),
        saved(picture, "TIFF", description=PAYLOADS["php"].decode()),
        saved(picture, "JPEG", icc_profile=SRGB + PAYLOADS["html"]),  # behind the profile's own end
        saved(picture, "PNG", icc_profile=PAYLOADS["html"] * 20),  # no profile at all
    ):
        assert b"SECRET" in content or content.startswith(b"\x89PNG")
        for output in OUTPUTS:
            result = converted(content, output)
            assert isinstance(result, bytes)
            assert b"SECRET" not in result
            assert b"SECRET" not in repr(Image.open(BytesIO(result)).info).encode()


def test_a_profile_of_megabytes_colours_the_picture_and_is_dropped():
    swollen = (len(SRGB) + 2_000_000).to_bytes(4, "big") + SRGB[4:] + bytes(2_000_000)
    content = saved(Image.new("RGB", (60, 40), "red"), "JPEG", icc_profile=swollen)
    assert len(content) > 2_000_000
    result = picture_of(content, formats.JPG)
    assert "icc_profile" not in result.info
    assert result.getpixel((30, 20))[0] > 240


def test_the_second_pictures_of_a_jpeg_are_dropped():
    content = saved(
        Image.new("RGB", (60, 40), "red"), "MPO", save_all=True, append_images=[Image.new("RGB", (60, 40))]
    )
    assert content.count(b"\xff\xd8\xff") == 2
    assert converted(content, formats.JPG).count(b"\xff\xd8\xff") == 1


@pytest.mark.parametrize(
    "format", ["ICO", "EPS", "PDF", "PPM", "ICNS", "TGA", "PSD", "SVG", "DDS", "JPEG2000"]
)
def test_other_formats_are_no_images_whatever_they_call_themselves(format):
    if format == "SVG":
        content = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><image href='file:///etc/passwd'/></svg>"
    elif format == "PSD":
        content = b"8BPS\0\1" + bytes(40)
    else:
        content = saved(Image.new("RGB", (64, 64)), format)
    assert converted(content) == NO_IMAGE


@pytest.mark.parametrize("prefix", [b"%PDF-1.7\n", b"<html>", b"MZ", b"\0", b"\n"])
def test_a_picture_behind_something_else_is_no_image(prefix):
    for form in INPUTS:
        assert converted(prefix + draw(1, (60, 40), form.name)) in (NO_IMAGE, DAMAGED)


def test_a_picture_of_no_pixels_is_damaged_and_an_empty_file_is_no_image():
    bmp = bytearray(saved(Image.new("RGB", (1, 1)), "BMP"))
    bmp[18:26] = bytes(8)
    for content in (hostile.png(0, 8), hostile.png(0, 0), hostile.gif(0, 0), hostile.tiff(0, 8), bytes(bmp)):
        assert converted(content) == DAMAGED
    assert converted(b"") == NO_IMAGE


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda form: form.name)
@pytest.mark.parametrize("size", [(30_000, 1), (1, 30_000)], ids=["wide", "high"])
def test_a_picture_of_one_row_or_column(size, output):
    if output is formats.WEBP:  # which holds 16,383 a side
        assert converted(hostile.png(*size), output) == TOO_LARGE
    else:
        assert picture_of(hostile.png(*size), output).size == size


ODD = {
    "CMYK JPEG": lambda: saved(Image.new("CMYK", (60, 40), (0, 255, 255, 0)), "JPEG"),
    "CMYK TIFF": lambda: saved(Image.new("CMYK", (60, 40), (0, 255, 255, 0)), "TIFF"),
    "16-bit PNG": lambda: saved(Image.new("I;16", (60, 40), 30_000), "PNG"),
    "16-bit TIFF": lambda: saved(Image.new("I;16", (60, 40), 30_000), "TIFF"),
    "palette PNG": lambda: saved(draw_p(), "PNG", transparency=0),
    "palette GIF": lambda: saved(draw_p(), "GIF"),
    "1-bit PNG": lambda: hostile.png(60, 40),
    "1-bit TIFF": lambda: saved(Image.new("1", (60, 40)), "TIFF", compression="group4"),
    "1-bit BMP": lambda: saved(Image.new("1", (60, 40)), "BMP"),
    "animated GIF": lambda: draw(1, (60, 40), "gif", frames=3),
    "animated WebP": lambda: draw(1, (60, 40), "webp", frames=3),
    "animated AVIF": lambda: draw(1, (60, 40), "avif", frames=3),
    "animated PNG": lambda: draw(1, (60, 40), "png", frames=3),
}


def draw_p():
    return Image.open(BytesIO(draw(1, (60, 40), "png"))).quantize(20)


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_odd_but_honest_pictures_convert_to_everything(make):
    content = make()
    for output in OUTPUTS:
        assert picture_of(content, output).size == (60, 40)


@pytest.mark.parametrize("form", ["heic", "avif"])
@pytest.mark.parametrize("length", [0, 1, 7, 2**31, 2**32 - 1])
def test_boxes_that_lie_about_their_length_are_damaged_or_harmless(form, length):
    content = draw(1, (64, 48), form)
    for place in hostile.boxes_of(content):
        lied = content[:place] + length.to_bytes(4, "big") + content[place + 4 :]
        answer = converted(lied)
        assert isinstance(answer, bytes) or answer in (DAMAGED, NO_IMAGE, TOO_LARGE)


def test_a_heic_within_itself_is_damaged():
    content = HEIC
    for _ in range(200):  # the picture's boxes in a box of their own, again and again
        content = content[:32] + (len(content) - 32 + 8).to_bytes(4, "big") + b"meta" + content[32:]
    assert converted(content) in (DAMAGED, NO_IMAGE)


def test_brands_of_one_another_are_damaged_or_told_apart_by_their_pictures():
    for content, brand in ((HEIC, b"avif"), (AVIF, b"heic"), (HEIC, b"mif1"), (AVIF, b"msf1")):
        answer = converted(content[:8] + brand + content[12:])
        assert isinstance(answer, bytes) or answer in (DAMAGED, NO_IMAGE)
