"""A customer's first hour, on a real panel in a real browser: from the sign-up to the key's end."""

import re
import time
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest
import requests
from playwright.sync_api import Page, expect

from images.drawings import draw
from tests.browser import well_behaved
from tests.mail_server import MailServer
from tests.panel import Up

pytestmark = [pytest.mark.browser, pytest.mark.once]

LARGEST_FIRST_LOAD = 250_000  # bytes of the usage page
EMAIL, PASSWORD = "ada@example.com", "eucalyptus leaf nine"


@pytest.fixture
def mail() -> Iterator[MailServer]:
    server = MailServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def panel(new_database, tmp_path_factory, mail) -> Iterator[str]:
    """The address of one that mails to `mail`."""
    var_dir = tmp_path_factory.mktemp("walk")
    # On a busy machine 50 ms pass without anybody's fault.
    told = {"EMAIL_URL": f"smtp://127.0.0.1:{mail.port}", "LIMITS_TIMEOUT_MS": "2000"}
    with Up(var_dir, database=new_database(), **told) as up:
        yield up.wait_until_ready()


class Api:
    """The guarded API as a client sees it that has a key."""

    def __init__(self, url: str) -> None:
        self.url = url

    def convert(self, key: str) -> requests.Response:
        return requests.post(
            f"{self.url}/api/v1/convert",
            headers={"Authorization": f"Bearer {key}"},
            files={"file": ("leaf.png", draw(1, (40, 30), "png"))},
            data={"output_format": "webp"},
            timeout=30,
        )

    def usage(self, key: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}"}
        return requests.get(f"{self.url}/api/v1/usage", headers=headers, timeout=30)


def left_today(answer: requests.Response) -> int:
    return int(re.search(r'"day";r=(\d+)', answer.headers["RateLimit"])[1])


def link_in(mail: MailServer, home: str) -> str:
    """The link in the first mail that arrived for the new account."""
    deadline = time.monotonic() + 30
    while not mail.received and time.monotonic() < deadline:
        time.sleep(0.05)
    (message,) = [one for one in mail.received if one["To"] == EMAIL]
    return re.search(rf"{home}/\S+", message.get_body(("plain",)).get_content())[0]


def copied(page: Page) -> str:
    page.get_by_role("button", name="Copy").first.click()
    expect(page.locator("#copied")).to_have_text("Copied to the clipboard.")
    text: str = page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("link", name="I have copied it").click()
    return text


class Wire:
    """What a browser loads that was never here before, as compressed as it comes."""

    def __init__(self, home: str, cookies: list[dict[str, str]]) -> None:
        self.home = home
        self.cookies = {one["name"]: one["value"] for one in cookies}

    def load(self, path: str) -> dict[str, int]:
        """The bytes of a page and of each static file that it needs, by address."""
        text, loaded = self._fetch(path)
        waiting = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', text))
        sizes = {path: loaded}
        while waiting:
            file = waiting.pop()
            text, sizes[file] = self._fetch(file)
            of_css = re.findall(r"url\([\"']?(?!data:|#)([^)\"']+)", text) if file.endswith(".css") else []
            waiting |= {urljoin(file, one) for one in of_css} - sizes.keys()
        return sizes

    def _fetch(self, path: str) -> tuple[str, int]:
        def ask(encoding: str) -> requests.Response:
            headers = {"Accept-Encoding": encoding}
            return requests.get(
                self.home + path, headers=headers, cookies=self.cookies, stream=True, timeout=30
            )

        answer = ask("br")
        assert answer.status_code == 200, path
        if path.startswith("/static/"):
            assert re.search(r"\.[0-9a-f]{12}\.\w+$", path), f"{path} has no hash: it can't be kept"
            assert "immutable" in answer.headers["Cache-Control"], path
            assert answer.headers["Content-Encoding"] == "br", path
        return ask("identity").text, len(answer.raw.read(decode_content=False))


def test_from_the_sign_up_to_the_keys_end(page, context, panel, mail):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    api = Api(panel)
    with well_behaved(page, panel):
        page.goto(f"{panel}/accounts/signup/")
        page.get_by_label("Email address").fill(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Create account").click()
        page.goto(link_in(mail, panel))
        page.get_by_role("button", name="Yes, it is mine").click()
        page.get_by_label("Email address").fill(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()

        page.get_by_role("link", name="API keys").click()
        page.get_by_role("link", name="Create your first key").click()
        page.get_by_label("Name").fill("website")
        page.get_by_role("button", name="Create the key").click()
        old = copied(page)
        answer = api.convert(old)
        assert answer.status_code in (200, 202), answer.text
        assert left_today(answer) == 999

        page.get_by_role("link", name="Rotate").click()
        page.get_by_label("1 hour").check()
        page.get_by_role("button", name="Rotate").click()
        new = copied(page)
        assert new != old
        assert [left_today(api.convert(key)) for key in (old, new, old)] == [998, 997, 996], "one quota"
        page.reload()
        expect(page.get_by_text("4 of 1,000")).to_be_visible()

        sizes = Wire(panel, context.cookies()).load("/")
        assert sum("chart" in file for file in sizes) == 2, sizes.keys()
        assert sum(sizes.values()) <= LARGEST_FIRST_LOAD, sizes

        page.get_by_text("Stop it now").click()
        page.get_by_role("button", name=f"Stop {old[:12]}").click()
        expect(page.get_by_text("has stopped.")).to_be_visible()
        stopped = api.usage(old)
        assert (stopped.status_code, stopped.json()["code"]) == (401, "key_expired")
        assert new[:12] in stopped.json()["detail"]
        assert left_today(api.usage(new)) == 996

        page.get_by_role("link", name="Revoke").click()
        page.get_by_role("button", name="Revoke it").click()
        expect(page.get_by_text("It is refused, for good")).to_be_visible()
        revoked = api.usage(new)
        assert (revoked.status_code, revoked.json()["code"]) == (401, "key_revoked")
        assert revoked.headers["WWW-Authenticate"].startswith("Bearer")
        assert api.usage(old).status_code == 401
