"""Sample clients: each uses the API over HTTP as a customer's program would, in its own manner.

They are here to be looked at, so each meets a limit within its first minute: their pace is chosen for that,
and for little work (about three small conversions a second, all together).
"""

import random
import threading
from collections.abc import Callable

import requests

from images.drawings import draw

PATIENCE = 30  # seconds for one answer
AFTER_TROUBLE = 3.0  # seconds to wait when nothing answers
WHILE_SUSPENDED = 60.0  # seconds between two looks at whether a person has reactivated the key
LONG_WAIT = 3 * 3600.0  # seconds: no minute's or hour's block, but the day's


class Client:
    """One program that converts pictures, with a key or, as a guest, without."""

    def __init__(
        self, url: str, key: str | None, stopping: threading.Event, say: Callable[[str], None]
    ) -> None:
        self._url = url
        self._say = say
        self._stopping = stopping
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of this machine has no business in it
        self._session.headers["User-Agent"] = "koalapanel-sample-client"
        if key is not None:
            self._session.headers["Authorization"] = f"Bearer {key}"
        self._random = random.Random(key)  # noqa: S311  (which picture comes next is no secret)

    def convert(self) -> float:
        """Have one picture converted: 0.0, or how many seconds a refusal says to wait."""
        if not self.goes_on():
            return 0.0
        picture = draw(self._random.randrange(10_000), (96, 64), self._random.choice(("png", "jpg", "webp")))
        try:
            answer = self._session.post(
                f"{self._url}/api/v1/convert",
                files={"file": ("picture", picture)},
                data={"output_format": self._random.choice(("webp", "png", "jpg"))},
                timeout=PATIENCE,
            )
            if answer.status_code == 200 and self._random.random() < 0.1:
                # Some results are fetched, as by somebody who means to use them.
                self._session.get(answer.json()["download_url"], timeout=PATIENCE)
        except requests.RequestException:
            # The server is being restarted, or is stopping and so are we.
            self.pause(AFTER_TROUBLE)
            return 0.0
        if answer.status_code == 429:
            return float(answer.headers["Retry-After"])
        if answer.status_code == 403:
            self.pause(WHILE_SUSPENDED)
        elif answer.status_code not in (200, 202):
            if answer.status_code != 503:
                self._say(f"HTTP {answer.status_code}: {answer.text[:200]}")
            self.pause(AFTER_TROUBLE)
        return 0.0

    def convert_until_refused(self, *, most: int, pause: float) -> float:
        """Convert up to `most` pictures with a pause between: how long to wait once refused."""
        for _ in range(most):
            if wait := self.convert():
                return wait
            self.pause(pause)
        return 0.0

    def pause(self, seconds: float) -> None:
        """Sleep, but not past the order to stop."""
        self._stopping.wait(seconds)

    def goes_on(self) -> bool:
        """Whether nobody has told it to stop."""
        return not self._stopping.is_set()


def polite(client: Client) -> None:
    """Works off a pile until it is refused, waits as told, then has little to do for some minutes."""
    while client.goes_on():
        client.pause(client.convert_until_refused(most=90, pause=0.2))
        for _ in range(20):
            client.pause(client.convert() or 10)


def bursty(client: Client) -> None:
    """Comes with more than a minute allows as fast as it is served; told to wait, it does, and rests."""
    while client.goes_on():
        wait = client.convert_until_refused(most=300, pause=0)
        for _ in range(5):  # what was on its way already
            wait = client.convert() or wait
        client.pause(wait)
        client.pause(15)


def hammering(client: Client) -> None:
    """Tries again at once, whatever it is told, and climbs the ladder: a cooldown within minutes, an hour's
    block, a day's. That one gets somebody an email, and from then on it does as it is told: no sample ends up
    suspended just because the demo runs for long."""
    while (wait := client.convert()) < LONG_WAIT:
        if not client.goes_on():
            return
        client.pause(0.5)
    client.pause(wait)
    polite(client)


def guest(client: Client) -> None:
    """Somebody without a key, who tries the API by hand."""
    while client.goes_on():
        client.pause(client.convert() or 3)


MANNERS: dict[str, Callable[[Client], None]] = {
    "polite": polite,
    "bursty": bursty,
    "hammering": hammering,
    "guest": guest,
}
