"""Smaller files of the same format: by quality, by a number of bytes, and the answer where it can't be."""

from io import BytesIO

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageStat

from images import formats
from images.drawings import draw
from images.orders import Order, Unconvertible
from images.pictures.converting import convert

LOSSY = ["jpg", "webp", "avif"]


def photo(size=(360, 240), mode="RGB"):
    """Soft blotches with some grain: no gradient that anything could shrink to nothing."""
    planes = []
    for _ in range(3):
        blotches = Image.effect_noise((size[0] // 20, size[1] // 20), 120).resize(
            size, Image.Resampling.BICUBIC
        )
        planes.append(Image.blend(blotches, Image.effect_noise(size, 40), 0.2))
    picture = Image.merge("RGB", planes)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize(size))
    return picture


def saved(picture, format, **options):
    file = BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def compressed(content, **order):
    target = BytesIO()
    outcome = convert(BytesIO(content), target, Order(None, **order), max_pixels=1_000_000)
    picture = Image.open(BytesIO(target.getvalue()))
    picture.load()
    assert outcome.output.format == outcome.input.format
    assert outcome.output.bytes == len(target.getvalue())
    return target.getvalue(), picture


def refused(content, **order):
    with pytest.raises(Unconvertible) as caught:
        compressed(content, **order)
    return caught.value


@pytest.fixture(scope="module")
def originals():
    picture = photo()
    return {
        "jpg": saved(picture, "JPEG", quality=98),
        "webp": saved(picture, "WEBP", quality=100),
        "avif": saved(picture, "AVIF", quality=95),
        "png": saved(picture, "PNG"),
        "gif": saved(picture, "GIF"),
        "tiff": saved(picture, "TIFF"),
    }


@pytest.mark.parametrize("format", ["jpg", "webp", "avif", "png", "gif"])
def test_the_format_stays_and_a_lower_quality_is_smaller(originals, format):
    sizes = [len(compressed(originals[format], quality=quality)[0]) for quality in (80, 30)]
    assert len(originals[format]) > sizes[0] > sizes[1]
    assert compressed(originals[format], quality=50)[1].size == (360, 240)


@pytest.mark.parametrize("format", LOSSY)
def test_without_a_quality_it_is_the_usual_one(originals, format):
    usual = {"jpg": 85, "webp": 80, "avif": 65}[format]
    assert compressed(originals[format])[0] == compressed(originals[format], quality=usual)[0]


@pytest.mark.parametrize(
    ("format", "share"),
    [*((format, share) for format in LOSSY for share in (0.6, 0.25, 0.1)), ("png", 0.2), ("gif", 0.5)],
)
def test_the_result_has_at_most_the_target_bytes_and_uses_them(originals, format, share):
    target = round(len(originals[format]) * share)
    content, _ = compressed(originals[format], target_bytes=target)
    assert len(content) <= target
    if format in LOSSY:
        assert len(content) > target * 0.7


def test_a_target_never_raises_the_quality_asked_for(originals):
    by_quality = compressed(originals["jpg"], quality=40)[0]
    assert compressed(originals["jpg"], quality=40, target_bytes=len(originals["jpg"]))[0] == by_quality


@pytest.mark.parametrize("format", ["jpg", "webp", "avif", "png", "gif", "tiff"])
def test_a_target_out_of_reach_says_how_small_it_gets(originals, format):
    error = refused(originals[format], target_bytes=60)
    assert (error.code, error.field) == ("invalid_request", "target_bytes")
    smallest = int(error.detail.split()[-2].replace(",", ""))
    assert len(compressed(originals[format], target_bytes=smallest)[0]) <= smallest


@pytest.mark.parametrize("format", LOSSY)
def test_a_file_of_low_quality_does_not_grow_by_a_high_one(format):
    low = saved(photo(), {"jpg": "JPEG"}.get(format, format), quality=25)
    assert len(compressed(low, quality=95)[0]) <= len(low)


def test_a_jpeg_of_low_quality_keeps_its_pixels_rather_than_losing_more():
    low = saved(photo(), "JPEG", quality=25)
    again = compressed(low, quality=95)[1]
    drift = ImageChops.difference(again.convert("L"), Image.open(BytesIO(low)).convert("L")).getextrema()[1]
    assert drift <= 8


def test_a_webp_without_loss_stays_without_loss_where_that_is_smaller():
    drawing = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(drawing).line((0, 0, 299, 199), fill="black")
    content = saved(drawing, "WEBP", lossless=True)
    again = compressed(content, quality=80)
    assert len(again[0]) <= len(content)
    assert ImageChops.difference(again[1].convert("RGB"), drawing).getbbox() is None


def drift(one, other, blur=0):
    """How far they are apart on average, of 255."""
    one, other = (each.convert("RGB").filter(ImageFilter.GaussianBlur(blur)) for each in (one, other))
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


def pixels_are_those_of(content, picture):
    return (
        ImageChops.difference(picture.convert("RGBA"), Image.open(BytesIO(content)).convert("RGBA")).getbbox(
            alpha_only=False
        )
        is None
    )


@pytest.mark.parametrize("quality", [None, 100])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_a_png_loses_no_pixel_unless_a_quality_says_so(mode, quality):
    content = saved(photo(mode="RGBA").convert(mode), "PNG", compress_level=1)
    smaller, picture = compressed(content, quality=quality)
    assert pixels_are_those_of(content, picture)
    assert len(smaller) <= len(content) * (1.03 if mode == "1" else 1)  # noise of single bits has no best way


def test_a_png_of_few_colours_gets_a_palette_without_losing_any():
    content = saved(draw(3, (200, 120), "png") and photo().quantize(12).convert("RGBA"), "PNG")
    smaller, picture = compressed(content)
    assert picture.mode == "P"
    assert pixels_are_those_of(content, picture)
    assert len(smaller) < len(content)


def test_a_png_with_a_quality_gets_so_many_colours_dithered():
    grey = Image.linear_gradient("L")
    planes = (grey, grey.transpose(Image.Transpose.ROTATE_90), grey)
    before = Image.merge(
        "RGB", [Image.blend(plane, Image.effect_noise(grey.size, 30), 0.1) for plane in planes]
    )
    picture = compressed(saved(before, "PNG", compress_level=0), quality=10)[1]
    assert picture.mode == "P"
    assert len(picture.convert("RGB").getcolors()) <= 26
    # Seen from afar, dithered errors cancel each other out.
    assert drift(picture, before, blur=4) < drift(before.quantize(26), before, blur=4) / 2


def test_a_png_keeps_its_transparency_with_fewer_colours():
    content = saved(photo(mode="RGBA"), "PNG")
    smaller, picture = compressed(content, quality=60)
    assert len(smaller) < len(content) / 2
    alpha = picture.convert("RGBA").getchannel("A")
    before = Image.open(BytesIO(content)).getchannel("A")
    assert drift(alpha, before) < 20
    assert alpha.getextrema()[0] < 20


@pytest.mark.parametrize("format", ["gif", "webp", "avif", "png"])
def test_an_animation_stays_one(format):
    content = draw(3, (80, 60), format, frames=4)
    for order in ({"quality": 50}, {"target_bytes": len(content)}):
        smaller, picture = compressed(content, **order)
        assert picture.n_frames == 4
        assert len(smaller) <= len(content)


def test_an_animated_gif_of_small_changes_does_not_become_whole_frames():
    frames = []
    base = photo((200, 120)).quantize(64).convert("RGB")
    for step in range(6):
        frame = base.copy()
        frame.paste("red", (step * 10, 0, step * 10 + 10, 10))
        frames.append(frame)
    content = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100, optimize=True)
    smaller, picture = compressed(content)
    assert picture.n_frames == 6
    assert len(smaller) < len(content) * 1.1


def test_a_tiff_is_deflated_and_loses_nothing(originals):
    smaller, picture = compressed(originals["tiff"], quality=10)
    assert len(smaller) < len(originals["tiff"])
    assert pixels_are_those_of(originals["tiff"], picture)


@pytest.mark.parametrize("format", ["bmp", "heic"])
def test_what_has_no_smaller_form_is_unsupported_and_told_to_convert(format):
    error = refused(draw(1, (60, 40), format), quality=50)
    assert error.code == "unsupported_format"
    assert "convert" in error.detail


def test_the_pages_of_a_tiff_are_not_dropped_unasked():
    assert refused(draw(1, (60, 40), "tiff", frames=3)).code == "unsupported_format"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_metadata_is_dropped_and_the_picture_turned_upright(format):
    exif = Image.Exif()
    exif[271] = "SECRET camera"
    exif[274] = 6
    content = saved(photo((60, 40)), format, exif=exif.tobytes())
    for order in ({}, {"quality": 100}, {"target_bytes": len(content)}):
        smaller, picture = compressed(content + b"SECRET trailer", **order)
        assert picture.size == (40, 60)
        assert b"SECRET" not in smaller


def test_it_can_be_resized_too(originals):
    assert compressed(originals["jpg"], width=90)[1].size == (90, 60)


@pytest.mark.parametrize("form", formats.INPUTS, ids=lambda form: form.name)
def test_a_picture_of_one_pixel_gets_an_answer(form):
    content = saved(Image.new("RGB", (1, 1), "red"), form.pillow)
    if form in (formats.BMP, formats.HEIC):
        assert refused(content).code == "unsupported_format"
        return
    for order in ({}, {"quality": 1}, {"quality": 100}):
        assert compressed(content, **order)[1].size == (1, 1)
    assert refused(content, target_bytes=1).field == "target_bytes"
