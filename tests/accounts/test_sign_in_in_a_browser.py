"""The doors in a real browser, from an empty form to the usage page, with and without scripts."""

import pytest
from playwright.sync_api import Page, expect

from tests.accounts.doors import ADDRESS, ANOTHER_PASSWORD, PASSWORD, path_in_the_last_letter
from tests.browser import DESKTOP, PHONE, barriers, is_wider_than_its_window, well_behaved

pytestmark = [
    pytest.mark.browser,
    pytest.mark.once,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("valkey"),
]


@pytest.fixture(params=["with scripts", "without scripts"])
def has_scripts(request):
    return request.param == "with scripts"


@pytest.fixture
def new_page(browser, has_scripts):
    """Makes pages of browsers that know nothing of each other."""
    contexts = []

    def make() -> Page:
        contexts.append(browser.new_context(java_script_enabled=has_scripts, reduced_motion="reduce"))
        return contexts[-1].new_page()

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def look(has_scripts):
    """Looks at the page as it is, on a phone and on a desktop, light and dark. Without scripts axe can't."""

    def at(page: Page) -> None:
        for window in (PHONE, DESKTOP):
            page.set_viewport_size(window)
            assert not is_wider_than_its_window(page), (page.url, window)
            for scheme in ("light", "dark") if has_scripts else ():
                page.emulate_media(color_scheme=scheme)
                assert barriers(page) == [], (page.url, window, scheme)

    return at


def fill(page: Page, **fields: str) -> None:
    for label, text in fields.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(text)


def press(page: Page, button: str) -> None:
    page.get_by_role("main").get_by_role("button", name=button).click()


def sign_in(page: Page, home: str, password: str) -> None:
    page.goto(f"{home}/")
    fill(page, Email_address=ADDRESS, Password=password)
    press(page, "Sign in")
    expect(page).to_have_url(f"{home}/")
    expect(page.get_by_role("heading", name="Usage")).to_be_visible()


def test_from_the_empty_form_to_the_usage_page_and_back_in_with_a_new_password(live_server, new_page, look):
    home = live_server.url
    page = new_page()
    with well_behaved(page, home):
        page.goto(f"{home}/accounts/login/")
        page.get_by_role("link", name="Create an account").click()
        fill(page, Email_address=ADDRESS, Password="1234")
        press(page, "Create account")
        expect(page.get_by_text("This password is too short.")).to_be_visible()
        look(page)
        fill(page, Email_address=ADDRESS, Password=PASSWORD)
        press(page, "Create account")
        expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
        expect(page.get_by_text(ADDRESS)).to_be_visible()
        press(page, "Send the letter once more")
        expect(page.get_by_text("not a minute old")).to_be_visible()
        look(page)

    phone = new_page()
    with well_behaved(phone, home):
        letter = home + path_in_the_last_letter()
        phone.goto(letter)
        expect(phone.get_by_role("heading", name="Is this your address?")).to_be_visible()
        look(phone)
        press(phone, "Yes, it is mine")
        expect(phone.get_by_text(f"{ADDRESS} is your address now.")).to_be_visible()
        look(phone)
        phone.goto(letter)
        expect(phone.get_by_role("heading", name="This link does nothing any more")).to_be_visible()
        look(phone)

    with well_behaved(page, home):
        sign_in(page, home, PASSWORD)

        phone.goto(f"{home}/accounts/login/")
        phone.get_by_role("link", name="Forgot it?").click()
        fill(phone, Email_address=ADDRESS)
        press(phone, "Send the link")
        expect(phone.get_by_role("heading", name="Look into your mail")).to_be_visible()
        look(phone)
        letter = home + path_in_the_last_letter()
        phone.goto(letter)
        assert phone.url.endswith("-set-password/")  # the token is in no address that a page could pass on
        fill(phone, New_password=ANOTHER_PASSWORD)
        phone.get_by_label("New password, once more").fill("something else")
        press(phone, "Set the password")
        expect(phone.get_by_text("You must type the same password each time.")).to_be_visible()
        look(phone)
        fill(phone, New_password=ANOTHER_PASSWORD)
        phone.get_by_label("New password, once more").fill(ANOTHER_PASSWORD)
        press(phone, "Set the password")
        expect(phone.get_by_role("heading", name="Your new password is set")).to_be_visible()
        look(phone)
        phone.goto(letter)
        expect(phone.get_by_role("heading", name="This link does nothing any more")).to_be_visible()
        sign_in(phone, home, ANOTHER_PASSWORD)

        phone.goto(f"{home}/accounts/email/")
        fill(phone, New_address="countess@example.com")
        press(phone, "Change the address")
        expect(phone.get_by_role("heading", name="Is it you?")).to_be_visible()
        look(phone)
        fill(phone, Your_password=ANOTHER_PASSWORD)
        press(phone, "Go on")
        expect(phone.get_by_role("heading", name="Look into your mail")).to_be_visible()
        look(phone)

        # The other browser is signed out by it.
        page.goto(f"{home}/")
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
