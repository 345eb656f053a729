"""One conversion in plain Pillow, and the most memory that its process ever had.

`python -m benchmarks.pictures.peak FILE OUTPUT` prints it in kB.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image

from images.formats import output_named
from images.pictures.encoding import DEFAULT_QUALITY

SAME_WORK: dict[str, dict[str, object]] = {
    "tiff": {"compression": "tiff_adobe_deflate"},
    "avif": {"speed": 8},
}


def peak_kib(pid: int | str = "self") -> int:
    """The process's high-water mark, as Linux keeps it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    return 0


def main() -> None:
    Image.MAX_IMAGE_PIXELS = None
    form = output_named(sys.argv[2])
    assert form is not None  # noqa: S101  (asked by the benchmark)
    options: dict[str, object] = {**SAME_WORK.get(form.name, {})}
    if form.name in DEFAULT_QUALITY:
        options["quality"] = DEFAULT_QUALITY[form.name]
    with tempfile.TemporaryFile() as target, Image.open(sys.argv[1]) as picture:
        picture.save(target, form.pillow, **options)
    print(peak_kib())


if __name__ == "__main__":
    main()
