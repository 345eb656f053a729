"""From file to file: every format, colours, frames, orientation, metadata."""

from io import BytesIO
from random import Random

import pytest
from PIL import ExifTags, Image, ImageCms, ImageDraw
from PIL.PngImagePlugin import PngInfo

from images import formats
from images.drawings import draw
from images.formats import INPUTS, OUTPUTS, output_named
from images.orders import Order, Unconvertible
from images.pictures.converting import convert

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LOSSY = 24  # how far a colour may drift through a lossy format


def converted(content, output, *, max_pixels=50_000_000, **order):
    target = BytesIO()
    outcome = convert(BytesIO(content), target, Order(output_named(output), **order), max_pixels=max_pixels)
    picture = Image.open(BytesIO(target.getvalue()))
    picture.load()
    return outcome, picture


def saved(picture, format, **options):
    file = BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def assert_colour(picture, at, colour):
    seen = picture.convert("RGBA").getpixel(at)
    assert all(abs(a - b) <= LOSSY for a, b in zip(seen, (*colour, 255)[:4], strict=True)), (seen, colour)


def corner(size=(40, 20)):
    """Red in the upper left quarter, on blue."""
    picture = Image.new("RGB", size, "blue")
    ImageDraw.Draw(picture).rectangle((0, 0, size[0] // 2 - 1, size[1] // 2 - 1), fill="red")
    return picture


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda form: form.name)
@pytest.mark.parametrize("source", INPUTS, ids=lambda form: form.name)
def test_each_format_converts_to_each_other(source, output):
    content = saved(corner((64, 48)), source.pillow)
    outcome, picture = converted(content, output.name)
    assert (picture.format, picture.size) == (output.pillow, (64, 48))
    assert_colour(picture, (12, 9), (255, 0, 0))
    assert_colour(picture, (50, 40), (0, 0, 255))
    assert (outcome.input.format, outcome.input.bytes) == (source, len(content))
    assert (outcome.output.format, outcome.output.width, outcome.output.height) == (output, 64, 48)


@pytest.mark.parametrize("output", ["webp", "png", "jpg", "tiff", "avif", "gif", "bmp"])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_all_metadata_is_dropped_and_the_colour_profile_stays(source, output):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "SECRET camera"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "SECRET north"
    options = {"exif": exif.tobytes(), "icc_profile": SRGB}
    if source != "TIFF":
        options["xmp"] = b"<x>SECRET xmp</x>"
    if source == "JPEG":
        options["comment"] = b"SECRET comment"
    content = saved(corner(), source, **options)
    assert b"SECRET" in content

    target = BytesIO()
    convert(BytesIO(content), target, Order(output_named(output)), max_pixels=10_000)

    assert b"SECRET" not in target.getvalue()
    with Image.open(BytesIO(target.getvalue())) as picture:
        assert not {"exif", "xmp", "comment", "photoshop"} & picture.info.keys()
        if output not in ("gif", "bmp"):  # which can't hold one
            assert picture.info["icc_profile"] == SRGB


def test_the_text_of_a_png_and_the_comment_of_a_gif_are_dropped():
    text = PngInfo()
    text.add_text("Author", "SECRET")
    for content in (saved(corner(), "PNG", pnginfo=text), saved(corner(), "GIF", comment=b"SECRET")):
        assert b"SECRET" in content
        for output in ("png", "gif", "jpg", "webp"):
            target = BytesIO()
            convert(BytesIO(content), target, Order(output_named(output)), max_pixels=10_000)
            assert b"SECRET" not in target.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_result_stands_upright_whatever_the_orientation_tag_says(source, orientation):
    stored = corner()
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(orientation)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    content = saved(stored.transpose(back) if back is not None else stored, source, exif=exif.tobytes())
    outcome, picture = converted(content, "png")
    assert picture.size == (40, 20) == (outcome.input.width, outcome.input.height)
    assert_colour(picture, (6, 4), (255, 0, 0))
    assert_colour(picture, (34, 16), (0, 0, 255))


def test_broken_exif_is_no_reason_to_refuse_a_picture():
    _, picture = converted(saved(corner(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), "png")
    assert picture.size == (40, 20)


@pytest.mark.parametrize("output", ["jpg", "bmp"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_becomes_white_where_the_output_has_none(mode, output):
    holes = Image.new(mode, (16, 16), (0, 0) if mode == "LA" else (0, 0, 0, 0))
    _, picture = converted(saved(holes, "PNG"), output)
    assert_colour(picture, (8, 8), (255, 255, 255))


@pytest.mark.parametrize("output", ["webp", "png", "avif", "gif", "tiff"])
def test_transparency_stays_where_the_output_has_it(output):
    holes = Image.new("RGBA", (16, 16), (255, 0, 0, 255))
    holes.paste((0, 0, 0, 0), (0, 0, 8, 16))
    _, picture = converted(saved(holes, "PNG"), output)
    seen = picture.convert("RGBA")
    assert (seen.getpixel((2, 8))[3], seen.getpixel((13, 8))[3]) == (0, 255)


def test_a_palette_with_a_transparent_colour_keeps_it():
    palette = Image.new("P", (16, 16), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.paste(1, (8, 0, 16, 16))
    _, picture = converted(saved(palette, "PNG", transparency=0), "webp")
    assert picture.convert("RGBA").getpixel((2, 2))[3] == 0
    assert_colour(picture, (13, 8), (0, 0, 255))


def test_cmyk_becomes_rgb_and_loses_a_profile_that_spoke_of_cmyk():
    content = saved(
        Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", icc_profile=b"not a profile at all" * 10
    )
    _, picture = converted(content, "png")
    assert picture.mode == "RGB"
    assert_colour(picture, (8, 8), (255, 0, 0))
    assert "icc_profile" not in picture.info


@pytest.mark.parametrize("level", [0, 128, 255])
def test_16_bit_greys_are_scaled_not_clipped(level):
    deep = Image.new("I;16", (8, 8), level * 257)
    for source in ("PNG", "TIFF"):
        _, picture = converted(saved(deep, source), "png")
        assert abs(picture.convert("L").getpixel((4, 4)) - level) <= 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("output", OUTPUTS, ids=lambda form: form.name)
def test_every_mode_of_png_converts_to_every_format(mode, output):
    picture = corner() if mode not in ("I;16",) else Image.new("I;16", (40, 20), 30_000)
    _, result = converted(
        saved(picture.convert(mode) if picture.mode != mode else picture, "PNG"), output.name
    )
    assert result.size == (40, 20)


@pytest.mark.parametrize("mode", ["LAB", "YCbCr", "CMYK", "F", "I"])
def test_rare_modes_of_tiff_convert(mode):
    if mode == "LAB":
        lab = ImageCms.profileToProfile(
            corner(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
        content = saved(lab, "TIFF")
    else:
        content = saved(
            corner().convert("L").convert(mode) if mode in "FI" else corner().convert(mode), "TIFF"
        )
    _, picture = converted(content, "jpg")
    assert picture.size == (40, 20)
    if mode in ("LAB", "YCbCr", "CMYK"):
        assert_colour(picture, (34, 16), (0, 0, 255))


@pytest.mark.parametrize("output", ["webp", "gif", "avif"])
@pytest.mark.parametrize("source", ["webp", "gif", "avif", "png"])
def test_an_animation_keeps_its_frames_and_their_time(source, output):
    _, picture = converted(draw(3, (48, 32), source, frames=4), output)
    assert picture.n_frames == 4
    for frame in range(4):
        picture.seek(frame)
        picture.load()
        assert picture.info["duration"] == 80


@pytest.mark.parametrize("output", ["jpg", "png", "bmp", "tiff"])
def test_an_animation_becomes_its_first_frame_where_the_output_holds_one(output):
    _, picture = converted(draw(3, (48, 32), "gif", frames=4), output)
    assert getattr(picture, "n_frames", 1) == 1


@pytest.mark.parametrize(
    ("source", "output"),
    [("gif", "gif"), ("gif", "avif"), ("png", "gif"), ("png", "webp"), ("png", "avif"), ("avif", "webp")],
)
def test_holes_of_an_animation_stay_holes(source, output):
    sprites = [Image.new("RGBA", (16, 16)), Image.new("RGBA", (16, 16))]
    for sprite, left in zip(sprites, (0, 8), strict=True):
        sprite.paste((255, 0, 0, 255), (left, 0, left + 8, 16))
        if output == "webp":  # of whole holes alone Pillow's decoder makes black; browsers don't
            sprite.putpixel((15, 15), (0, 255, 0, 128))
    file = BytesIO()
    options = {"disposal": 2} if source == "gif" else {}
    sprites[0].save(file, source, save_all=True, append_images=sprites[1:], duration=100, **options)
    _, picture = converted(file.getvalue(), output)
    for frame, hole in enumerate((12, 4)):
        picture.seek(frame)
        assert picture.convert("RGBA").getpixel((hole, 8))[3] < 10


def test_the_pages_of_a_tiff_become_its_first_page():
    _, picture = converted(draw(3, (48, 32), "tiff", frames=3), "webp")
    assert picture.n_frames == 1


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({"width": 20}, (20, 10)),
        ({"height": 5}, (10, 5)),
        ({"width": 10, "height": 10}, (10, 5)),
        ({"width": 400, "height": 20}, (40, 20)),
        ({"width": 80}, (80, 40)),
        ({"width": 1}, (1, 1)),
    ],
)
def test_a_resized_image_keeps_its_shape(asked, size):
    outcome, picture = converted(saved(corner(), "PNG"), "png", **asked)
    assert picture.size == size == (outcome.output.width, outcome.output.height)
    assert (outcome.input.width, outcome.input.height) == (40, 20)


def test_all_frames_are_resized():
    _, picture = converted(draw(3, (48, 32), "gif", frames=3), "webp", width=24)
    assert (picture.size, picture.n_frames) == ((24, 16), 3)


def test_a_lower_quality_makes_a_smaller_file():
    content = draw(5, (300, 200), "png")
    for output in ("webp", "jpg", "avif"):
        small, large = (converted(content, output, quality=quality)[0].output.bytes for quality in (10, 95))
        assert small < large


def refused(content, output="png", **order):
    with pytest.raises(Unconvertible) as caught:
        converted(content, output, **order)
    return caught.value.code, caught.value.field


def test_nothing_is_enlarged_over_the_pixel_limit():
    content = saved(corner(), "PNG")
    assert refused(content, width=201, max_pixels=20_000) == ("image_too_large", "width")
    assert converted(content, "png", width=200, max_pixels=20_000)[1].size == (200, 100)
    assert refused(draw(1, (40, 20), "gif", frames=3), "gif", height=100, max_pixels=20_000)[1] == "height"


def test_a_side_longer_than_the_format_holds_is_refused():
    content = saved(Image.new("L", (20_000, 2)), "PNG")
    assert refused(content, "webp") == ("image_too_large", "width")
    assert converted(content, "webp", width=10_000)[1].size == (10_000, 1)


@pytest.mark.parametrize("source", INPUTS, ids=lambda form: form.name)
def test_a_truncated_image_is_refused_as_damaged(source):
    content = draw(2, (400, 300), source.name)
    for part in (len(content) // 2, 40, 20):
        assert refused(content[:part])[0] == "invalid_request", part


@pytest.mark.parametrize("source", INPUTS, ids=lambda form: form.name)
def test_no_damage_brings_anything_but_a_result_or_a_refusal(source):
    random, content, codes = Random(source.name), draw(2, (60, 40), source.name), set()
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(random.randint(1, 12)):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        try:
            convert(BytesIO(bytes(damaged)), BytesIO(), Order(formats.PNG), max_pixels=100_000)
        except Unconvertible as error:
            codes.add(error.code)
    assert codes <= {"invalid_request", "unsupported_format", "image_too_large"}
