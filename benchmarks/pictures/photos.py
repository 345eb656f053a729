"""Pictures that are as much work as photographs: soft shapes of all sizes, with a little grain."""

from PIL import Image


def photo(width: int, height: int) -> Image.Image:
    """No two are alike."""
    return Image.merge("RGB", [_plane(width, height) for _ in range(3)])


def _plane(width: int, height: int) -> Image.Image:
    plane: Image.Image | None = None
    for scale in (256, 64, 16, 4):
        noise = Image.effect_noise((width // scale + 2, height // scale + 2), 90)
        shapes = noise.resize((width, height), Image.Resampling.BICUBIC)
        plane = shapes if plane is None else Image.blend(plane, shapes, 0.35)
    assert plane is not None  # noqa: S101  (there are scales)
    return Image.blend(plane, Image.effect_noise((width, height), 60), 0.12)
