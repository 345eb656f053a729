import os
import sys
import time

import requests

URL = os.environ["KOALA_URL"] + "/api/v1/convert"
KEY = {"Authorization": "Bearer " + os.environ["KOALA_KEY"]}


def convert(path, output_format):
    while True:
        with open(path, "rb") as file:
            answer = requests.post(
                URL,
                headers=KEY,
                files={"file": file},
                data={"output_format": output_format},
                timeout=300,
            )
        if answer.status_code != 429:
            return answer
        # Have everything else that uses this key wait as well.
        time.sleep(int(answer.headers["Retry-After"]))


print(convert(sys.argv[1], sys.argv[2]).status_code)
