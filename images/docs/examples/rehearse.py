"""See whether convert.py waits as it is told: python3 rehearse.py

KOALA_URL is the server's address, KOALA_KEY a rehearsal key; convert.py lies beside this file.
"""

import os
import sys
import time

import convert

SECONDS = 2

for word in ("rate_limited", "queue.pool_saturated"):
    began = time.monotonic()
    answer = convert.send(
        "POST",
        f"{os.environ['KOALA_URL']}/api/v1/convert",
        headers={
            "Authorization": f"Bearer {os.environ['KOALA_KEY']}",
            "X-Koala-Rehearse": f"{word}; retry_after={SECONDS}",
        },
        data={"output_format": "webp"},
        files={"file": ("photo.png", b"any file will do")},
    )
    waited = time.monotonic() - began
    if waited < SECONDS:
        sys.exit(f"{word}: came back after {waited:.1f} s already")
    print(f"{word}: waited {waited:.1f} s, then {answer.status_code}")
