from io import BytesIO

import pytest
from PIL import Image

from images.drawings import draw
from images.formats import INPUTS


@pytest.mark.parametrize("form", INPUTS, ids=lambda form: form.name)
def test_a_drawing_is_a_picture_of_the_size_and_format_asked_for(form):
    with Image.open(BytesIO(draw(7, (120, 80), form.name))) as picture:
        assert (picture.format, picture.size) == (form.pillow, (120, 80))


def test_a_seed_always_draws_the_same_and_another_seed_something_else():
    assert draw(1, (64, 64), "png") == draw(1, (64, 64), "png") != draw(2, (64, 64), "png")


@pytest.mark.parametrize("format", ["gif", "webp", "avif", "tiff"])
def test_frames_differ_from_one_another(format):
    with Image.open(BytesIO(draw(1, (64, 64), format, frames=3))) as picture:
        assert picture.n_frames == 3
        picture.seek(0)
        first = picture.convert("RGB").tobytes()
        picture.seek(2)
        assert picture.convert("RGB").tobytes() != first


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (2000, 10)])
def test_any_size_can_be_drawn(size):
    with Image.open(BytesIO(draw(1, size, "png"))) as picture:
        assert picture.size == size
