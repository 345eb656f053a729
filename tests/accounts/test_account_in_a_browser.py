"""The account's pages in a real browser: with a security key, without scripts, and as axe sees them."""

import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from playwright.sync_api import Page, expect

from accounts import api_keys
from accounts.models import User
from tests.browser import assert_no_barriers, well_behaved

pytestmark = [
    pytest.mark.browser,
    pytest.mark.once,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("valkey"),
]

PASSWORD = "correct horse battery"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def olivia(db):
    olivia = User.objects.create_user("olivia@example.com", PASSWORD, name="Olivia")
    olivia.vouch_for_address()
    return olivia


@pytest.fixture
def site(live_server, settings):
    settings.BASE_URL = live_server.url
    return live_server.url


def sign_in(page: Page, home: str) -> None:
    page.goto(f"{home}/accounts/login/")
    page.get_by_label("Email address").fill("olivia@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def sign_out(page: Page) -> None:
    page.locator("summary[aria-label^=Account]").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def give_password(page: Page) -> None:
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()


def code(secret: str, periods: int = 0) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + periods))


def plug_in(page: Page) -> None:
    """A security key that is touched whenever the browser asks for it."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    key = {"protocol": "ctap2", "transport": "usb", "hasUserVerification": True, "isUserVerified": True}
    cdp.send("WebAuthn.addVirtualAuthenticator", {"options": {**key, "automaticPresenceSimulation": True}})


def test_a_security_key_opens_the_account(page, site, olivia):
    with well_behaved(page, site):
        plug_in(page)
        sign_in(page, site)
        page.goto(f"{site}/account/")
        page.get_by_role("link", name="Set up two-factor").click()
        page.get_by_role("link", name="Add a security key").click()
        give_password(page)
        page.get_by_label("Name").fill("blue")
        page.get_by_role("button", name="Add this key").click()
        expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
        assert Authenticator.objects.get(type="webauthn").data["name"] == "blue"

        page.goto(f"{site}/accounts/2fa/webauthn/add/")
        page.get_by_label("Name").press("Enter")
        expect(page.get_by_text("This key is one of your account's already.")).to_be_visible()

        sign_out(page)
        sign_in(page, site)
        expect(page.get_by_label("Recovery code")).to_be_visible()
        assert_no_barriers(page)
        page.get_by_role("button", name="Use your security key").click()
        expect(page).to_have_url(f"{site}/")

        page.goto(f"{site}/accounts/2fa/webauthn/")
        page.get_by_role("link", name="Remove blue").click()
        page.get_by_role("link", name="Use a security key").click()
        page.get_by_role("button", name="Use your security key").click()
        page.get_by_role("button", name="Remove the key").click()
        expect(page.get_by_text("Your security key is removed.")).to_be_visible()
        assert not Authenticator.objects.exists()


def test_without_a_key_at_hand_the_page_says_what_to_do(page, site, olivia):
    sign_in(page, site)
    page.goto(f"{site}/accounts/2fa/webauthn/add/")
    give_password(page)
    refused = "Promise.reject(new DOMException('', 'NotAllowedError'))"
    page.evaluate(f"() => {{ navigator.credentials.create = () => {refused} }}")
    with well_behaved(page, site):
        page.get_by_role("button", name="Add this key").click()
        expect(page.get_by_text("The key was not used")).to_be_visible()
    page.goto(page.url.replace("localhost", "127.0.0.1"))
    sign_in(page, site.replace("localhost", "127.0.0.1"))
    page.goto(f"{site.replace('localhost', '127.0.0.1')}/accounts/2fa/webauthn/add/")
    give_password(page)
    expect(page.get_by_text("but not at this address")).to_be_visible()
    expect(page.get_by_role("button", name="Add this key")).to_be_hidden()


def test_everything_works_without_scripts(browser, site, olivia):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, site)
    page.goto(f"{site}/account/")
    page.get_by_label("Name").fill("Olivia Oak")
    page.get_by_role("button", name="Save the name").click()
    expect(page.get_by_text("Your name is saved.")).to_be_visible()
    page.get_by_label("Mail me").uncheck()
    page.get_by_role("button", name="Save the notifications").click()
    expect(page.get_by_text("mail about quotas is off")).to_be_visible()

    page.get_by_role("link", name="Set up two-factor").click()
    page.get_by_role("link", name="Add a security key").click()
    give_password(page)
    expect(page.get_by_text("Security keys need JavaScript")).to_be_visible()
    page.get_by_role("link", name="Set up an authenticator app").click()
    secret = page.locator(".kp-totp-secret code").inner_text().replace(" ", "")
    page.get_by_label("Code").fill(code(secret))
    page.get_by_role("button", name="Turn it on").click()
    recovery_code = page.locator(".kp-codes code").first.inner_text()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert recovery_code.replace(" ", "") in download.value.path().read_text()

    sign_out(page)
    sign_in(page, site)
    page.get_by_label("Code of your authenticator app").fill(recovery_code)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{site}/")

    page.goto(f"{site}/account/sessions/")
    expect(page.get_by_text("This one")).to_be_visible()
    page.goto(f"{site}/account/delete/")
    give_password(page)
    page.get_by_label("Your email address, to be sure").fill("olivia@example.com")
    page.get_by_role("button", name="Delete the account").click()
    expect(page.get_by_role("heading", name="Your account is deleted")).to_be_visible()
    assert not User.objects.exists()
    context.close()


def test_axe_finds_nothing(page, browser, site, olivia):
    api_keys.issue(olivia, name="prod" * 25)
    elsewhere = browser.new_context()
    sign_in(elsewhere.new_page(), site)
    with well_behaved(page, site):
        sign_in(page, site)
        page.goto(f"{site}/accounts/2fa/totp/activate/")
        give_password(page)
        page.get_by_label("Code").fill("000000")
        page.get_by_role("button", name="Turn it on").click()
        assert_no_barriers(page)
        page.goto(f"{site}/accounts/2fa/webauthn/add/")
        assert_no_barriers(page)
        TOTP.activate(olivia, SECRET)
        RecoveryCodes.activate(olivia)
        key = {"name": "k" * 100, "credential": {}}
        Authenticator.objects.create(user=olivia, type="webauthn", data=key)
        for path in (
            "account/sessions/",
            "account/delete/",
            "accounts/2fa/",
            "accounts/2fa/webauthn/",
            "accounts/2fa/recovery-codes/",
        ):
            page.goto(f"{site}/{path}")
            assert_no_barriers(page)
        page.goto(f"{site}/account/")
        page.locator("summary[aria-label^=Account]").click()
        assert_no_barriers(page)
    elsewhere.close()
