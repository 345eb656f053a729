"""The plain loop: Pillow in a process, one picture after the other, from PNG to WebP in memory.

`python -m benchmarks.pictures.loop FILE …`: for each line on standard input it converts as many pictures as
the line says, taking the files in turn, and writes a line when it is through.
"""

import os
import sys
from io import BytesIO
from itertools import cycle

from PIL import Image

from images.pictures.child import NICENESS
from images.pictures.encoding import DEFAULT_QUALITY


def main() -> None:
    os.nice(NICENESS)
    files = cycle(sys.argv[1:])
    for line in sys.stdin:
        for _ in range(int(line)):
            with Image.open(next(files)) as picture:
                picture.save(BytesIO(), "WEBP", quality=DEFAULT_QUALITY["webp"])
        print("done", flush=True)


if __name__ == "__main__":
    main()
