"""A picture that needs more memory than a worker process may have fails alone."""

import subprocess
import sys

PROGRAM = """
import os
import django
import psutil
django.setup()
from images import worker_process
from images.attempts import TOO_MUCH, _convert
from images.drawings import draw
from images.models import Job
from images.orders import Unconvertible
from io import BytesIO

small, large = (BytesIO(draw(1, (side, side), "png")) for side in (100, 6000))
# As much as it has by now, and 100 MB more.
worker_process.MOST_MEMORY = psutil.Process().memory_info().vms + 100_000_000
worker_process.take_no_more_than_a_share()

def convert(content):
    try:
        return _convert(content, BytesIO(), Job(output_format="bmp")).output.width
    except Unconvertible as error:
        return error.code

print(os.nice(0), convert(small), convert(large), convert(small))
"""


def test_it_fails_as_too_large_and_the_process_lives_on():
    finished = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert finished.stdout.split() == ["10", "100", "image_too_large", "100"], finished.stderr
