"""Pictures of every page, to be looked at: `python -m tests.screenshots [--only NAME] [--to FOLDER]`.

Starts a panel with sample accounts and their traffic, opens each page of `tests.pages` as whoever it is for,
on a phone and on a desktop, light and dark, and stops the panel. `--readme` makes the README's alone.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from koalapanel.env import BASE_DIR, Environment
from tests.browser import DESKTOP, LAUNCH_ARGS, PHONE
from tests.pages import PAGES, Seen

START_SECONDS = 120
TRAFFIC_SECONDS = 20  # of sample clients, before the first picture
README = BASE_DIR / "docs" / "pictures"
CUSTOMER, STAFF = "harry@example.com", "admin@example.com"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.screenshots", description=__doc__)
    parser.add_argument("--only", default="", help="pages whose name has this in it")
    parser.add_argument("--to", type=Path, default=BASE_DIR / "var" / "screenshots", help="(%(default)s)")
    parser.add_argument("--readme", action="store_true", help="the README's pictures alone")
    parser.add_argument("--wait", type=float, default=TRAFFIC_SECONDS, help="seconds of traffic before")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="koala-pictures-") as folder, panel(Path(folder)) as home:
        passwords = passwords_of(Path(folder))
        places = places_in(Path(folder))
        time.sleep(asked.wait)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(**LAUNCH_ARGS)
            seen = {
                Seen.BY_ANYBODY: browser.new_page(),
                Seen.BY_CUSTOMERS: signed_in(browser, home, CUSTOMER, passwords[CUSTOMER]),
                Seen.BY_STAFF: signed_in(browser, home, STAFF, passwords[STAFF]),
            }
            if asked.readme:
                take_for_readme(seen[Seen.BY_CUSTOMERS], home)
            else:
                take_all(seen, home, places, asked.only, asked.to)
            browser.close()


@contextmanager
def panel(var_dir: Path) -> Iterator[str]:
    """A running `manage.py up --demo`; its address."""
    ours = ("DJANGO_SETTINGS_MODULE", *Environment.names())
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    command = [sys.executable, "manage.py", "up", "--demo", "--port", "0", "--var", str(var_dir)]
    with (var_dir / "up.log").open("w") as log:
        process = subprocess.Popen(command, cwd=BASE_DIR, stdout=log, stderr=log, env=environment)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (ready := re.search(r"^ready (http://\S+)$", (var_dir / "up.log").read_text(), re.M)):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit((var_dir / "up.log").read_text())
            time.sleep(0.1)
        yield ready[1]
    finally:
        process.terminate()
        process.wait(30)


def passwords_of(var_dir: Path) -> dict[str, str]:
    log = (var_dir / "up.log").read_text()
    return dict(re.findall(r"^\s+(\S+@example\.com)\s+(\S+)", log, re.M))


def places_in(var_dir: Path) -> dict[str, object]:
    os.environ |= {"VAR_DIR": str(var_dir), "DJANGO_SETTINGS_MODULE": "koalapanel.settings"}
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    import django

    django.setup()

    from accounts.models import ApiKey
    from tests.places import ask_for_a_replay, places_of

    ask_for_a_replay()
    keys = ApiKey.objects.select_related("owner", "tier").filter(owner__email=CUSTOMER)
    return places_of(keys.filter(status=ApiKey.Status.ACTIVE, is_rehearsal=False).latest("-created_at"))


def signed_in(browser: Browser, home: str, email: str, password: str) -> Page:
    page = browser.new_page()
    page.goto(f"{home}/accounts/login/")
    page.get_by_label("Email address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{home}/")
    return page


def take_all(seen: dict[Seen, Page], home: str, places: dict[str, object], only: str, folder: Path) -> None:
    from tests.places import address_of

    folder.mkdir(parents=True, exist_ok=True)
    for one in PAGES:
        if only not in one.name:
            continue
        address = address_of(one, places)
        if address is None:
            print(f"{one.name}: the panel has nothing that it is about")
            continue
        page = seen[one.seen]
        page.set_viewport_size(DESKTOP)
        answer = page.goto(home + address)
        print(f"{one.name}: {answer.status if answer else '?'} {address}", flush=True)
        for width, window in (("390", PHONE), ("1280", DESKTOP)):
            page.set_viewport_size(window)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                page.wait_for_timeout(300)  # charts are drawn anew
                page.screenshot(path=folder / f"{one.name}-{width}-{scheme}.png", full_page=True)


def take_for_readme(page: Page, home: str) -> None:
    README.mkdir(parents=True, exist_ok=True)
    page.set_viewport_size({"width": 1280, "height": 1130})
    page.goto(f"{home}/")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.wait_for_timeout(500)
        page.screenshot(path=README / f"usage-{scheme}.png")
        print(README / f"usage-{scheme}.png")


if __name__ == "__main__":
    main()
