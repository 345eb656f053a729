"""Sample clients: each uses the API over HTTP as a customer's program would, in its own manner.

They are here to be looked at, so each meets a limit within its first minutes: their pace is chosen for that,
and for little work (about three small conversions a second, all together).
"""

import random
import threading
from collections.abc import Callable, Mapping
from typing import Any

import requests

from images.drawings import draw

PATIENCE = 30  # seconds for one answer
AFTER_TROUBLE = 3.0  # seconds to wait when nothing answers
WHILE_SUSPENDED = 60.0  # seconds between two looks at whether a person has reactivated the key
LONG_WAIT = 3 * 3600.0  # seconds: no minute's or hour's block, but the day's


class Client:
    """One program that works on pictures, with a key or, as a guest, without.

    What sends something gives 0.0, or how many seconds a refusal says to wait.
    """

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
        """Have one picture converted."""
        return self._send("convert", [self._picture()], {"output_format": self._output()})

    def compress(self) -> float:
        """Have one picture made smaller."""
        return self._send("compress", [self._picture()], {"quality": self._random.randrange(30, 80)})

    def convert_folder(self, pictures: int) -> float:
        """Have some larger pictures converted in the background. Now and then one of them is damaged, and the
        last is thought better of."""
        files = [self._picture((480, 320)) for _ in range(pictures)]
        if self._sometimes(0.3):
            files[1] = files[1][: len(files[1]) // 2]
        return self._send("batch", files, {"output_format": self._output()})

    def _send(self, route: str, pictures: list[bytes], fields: Mapping[str, object]) -> float:
        if not self.goes_on():
            return 0.0
        name = "files" if route == "batch" else "file"
        try:
            answer = self._session.post(
                f"{self._url}/api/v1/{route}",
                files=[(name, ("picture", picture)) for picture in pictures],
                data=dict(fields),
                timeout=PATIENCE,
            )
            if answer.ok:
                self._use(answer.json())
        except requests.RequestException:
            # The server is being restarted, or is stopping and so are we.
            self.pause(AFTER_TROUBLE)
            return 0.0
        if answer.status_code == 429:
            return float(answer.headers["Retry-After"])
        if answer.status_code == 403:
            self.pause(WHILE_SUSPENDED)
        elif not answer.ok:
            if answer.status_code != 503:
                self._say(f"HTTP {answer.status_code}: {answer.text[:200]}")
            self.pause(AFTER_TROUBLE)
        return 0.0

    def _use(self, answer: Mapping[str, Any]) -> None:
        """Some results are fetched, as by somebody who means to use them; some jobs are cancelled."""
        if "download_url" in answer and self._sometimes(0.1):
            self._session.get(answer["download_url"], timeout=PATIENCE)
        if "jobs" in answer and self._sometimes(0.3):
            self._session.delete(f"{self._url}/api/v1/jobs/{answer['jobs'][-1]['id']}", timeout=PATIENCE)

    def _picture(self, size: tuple[int, int] = (96, 64)) -> bytes:
        return draw(self._random.randrange(10_000), size, self._random.choice(("png", "jpg", "webp")))

    def _output(self) -> str:
        return self._random.choice(("webp", "png", "jpg"))

    def _sometimes(self, share: float) -> bool:
        return self._random.random() < share

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


def folders(client: Client) -> None:
    """Sends a folder, and the next one at once, for which its queue may have no room; then rests."""
    while client.goes_on():
        for _ in range(2):
            client.pause(client.convert_folder(8))
        client.pause(30)


def guest(client: Client) -> None:
    """Somebody without a key, who makes pictures smaller by hand."""
    while client.goes_on():
        client.pause(client.compress() or 3)


MANNERS: dict[str, Callable[[Client], None]] = {
    "polite": polite,
    "bursty": bursty,
    "hammering": hammering,
    "folders": folders,
    "guest": guest,
}
