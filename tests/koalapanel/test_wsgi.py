"""What the web server loads, and what it must not."""

import subprocess
import sys

PROGRAM = """
import sys
import koalapanel.wsgi
import koalapanel.urls
from django.urls import resolve

for path in ("/api/v1/convert", "/convert", "/api/v1/downloads/some", "/usage/", "/admin/images/job/"):
    resolve(path)
print(sorted(name for name in sys.modules if name.partition(".")[0] in ("PIL", "pillow_heif")))
"""


def test_the_web_process_loads_no_decoder():
    finished = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert finished.stdout == "[]\n", finished.stderr
