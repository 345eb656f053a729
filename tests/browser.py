"""What browser tests need: Debian's chromium, and a page that holds itself to our rules."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

LAUNCH_ARGS = {
    "executable_path": "/usr/bin/chromium",
    "args": [
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ],
}
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}


@contextmanager
def well_behaved(page: Page, home: str) -> Iterator[None]:
    """Nothing on the console but what a page says on purpose, and no request to any host but `home`."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))

    def note_strangers(request: object) -> None:
        if not request.url.startswith((home + "/", "data:")):
            complaints.append(f"request: {request.url}")

    page.on("request", note_strangers)
    yield
    assert not complaints, complaints


def barriers(page: Page) -> list[str]:
    """What axe finds wrong with the page as it is drawn now: the rule and the elements, one a line."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{rule['id']}: {node['target']} {node['html']}" for rule in found for node in rule["nodes"]]


def is_wider_than_its_window(page: Page) -> bool:
    wider: bool = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    return wider


def assert_no_barriers(page: Page) -> None:
    """On a phone and on a desktop, light and dark: the page as it is, turned from one to the other."""
    for window in (PHONE, DESKTOP):
        page.set_viewport_size(window)
        assert not is_wider_than_its_window(page), (page.url, window)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found = barriers(page)
            assert found == [], (found, page.url, window, scheme)


def tab_to(page: Page, role: str, name: str | re.Pattern[str]) -> None:
    """As somebody without a mouse gets there."""
    wanted = page.get_by_role(role, name=name).first
    expect(wanted).to_be_visible()
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError(f"No {role} {name} by Tab")
