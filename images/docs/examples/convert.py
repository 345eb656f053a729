"""Convert an image: python3 convert.py FILE FORMAT [RESULT]

KOALA_URL is the server's address, KOALA_KEY your key.
Prints the result's name, or says on standard error why there is none and exits with 1.
"""

import os
import random
import sys
import time
from pathlib import Path

import requests

ATTEMPTS = 6
LONGEST_WAIT = 600  # seconds; who is to wait for longer should rather know why


def send(method, url, **request):
    """The answer; asks again while that makes sense.

    If an answer gets lost on its way, the request may count twice.
    """
    for attempt in range(ATTEMPTS):
        wait = 2**attempt
        try:
            answer = requests.request(method, url, timeout=300, **request)
        except requests.RequestException as error:
            why = str(error)
        else:
            if answer.ok:
                return answer
            why = f"{answer.status_code} {answer.text}"
            if answer.status_code != 429 and answer.status_code < 500:
                # 401 and 403 are among these: asking again would change nothing.
                sys.exit(f"Refused: {why}")
            retry_after = answer.headers.get("Retry-After", "")
            if retry_after.isdecimal():
                wait = max(wait, int(retry_after))
        if wait > LONGEST_WAIT or attempt == ATTEMPTS - 1:
            break
        # Up to 500 ms more, so that not all clients come back in the same moment.
        wait += random.uniform(0, 0.5)
        print(f"Again in {wait:.1f} s, because of: {why}", file=sys.stderr)
        time.sleep(wait)
    sys.exit(f"Given up: {why}")


def main(source, output_format, result=None):
    url = os.environ["KOALA_URL"]
    key = {"Authorization": f"Bearer {os.environ['KOALA_KEY']}"}
    path = Path(source)
    answer = send(
        "POST",
        f"{url}/api/v1/convert",
        headers=key,
        data={"output_format": output_format},
        files={"file": (path.name, path.read_bytes())},
    )
    job = answer.json()
    while job["status"] in ("queued", "running"):
        time.sleep(1)  # asking for a job counts against no limit
        job = send("GET", f"{url}/api/v1/jobs/{job['id']}", headers=key).json()
    if job["status"] != "done":
        sys.exit(f"The job is {job['status']}: {job['error']}")
    # Without the key: the address alone opens the result.
    content = send("GET", job["download_url"]).content
    target = Path(result or path.with_suffix(f".{output_format}"))
    target.write_bytes(content)
    print(target)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
