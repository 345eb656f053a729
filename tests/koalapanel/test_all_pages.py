"""What holds for every page of the panel: `tests.pages` lists them."""

import re

import pytest
from django.urls import get_resolver, resolve
from django.urls.resolvers import URLPattern, URLResolver

from tests.pages import PAGES

# What is below these is no page of ours: the API, Django's own admin, what browsers and programs fetch.
NO_PAGES = ("api/", "admin/", "identity/", r".well-known/", "healthz", "^(?:api|")
SHORT_ROUTES = {
    "convert",
    "compress",
    "conversions",
    "job/<job_id>",
    "entitlements/me",
    "convert/entitlements/me",
}
# Answers to a form, or what a page fetches of itself: opened by no link. And what other pages are tried by.
EXCUSED = {
    # A link in an email leads there, and what follows from it.
    *("account_confirm_email", "account_email_verification_sent", "account_send_again", "account_inactive"),
    *("account_reset_password_from_key", "account_reset_password_from_key_done"),
    *("account_reset_password_done", "account_set_password", "contact_sent", "account_deleted"),
    # Between two steps of signing in, or asked again for the password: tests/accounts has their pages.
    *("account_reauthenticate", "mfa_authenticate", "mfa_reauthenticate", "mfa_reauthenticate_webauthn"),
    *("mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_download_recovery_codes"),
    *("mfa_activate_totp", "mfa_deactivate_totp", "mfa_list_webauthn", "mfa_add_webauthn"),
    *("mfa_edit_webauthn", "mfa_remove_webauthn", "account_logout", "account_delete"),
    # Actions.
    *("account_profile", "account_notifications", "account_end_session", "account_end_other_sessions"),
    *("rename_key", "change_key_expiry", "change_key_allow_list", "stop_key_secret", "disconnect_service"),
    *("show_webhook_secret", "rotate_webhook_secret", "stop_former_webhook_secret"),
    *("cancel_job", "download_job"),
    *("disable_webhook_endpoint", "enable_webhook_endpoint", "redeliver_webhook"),
    *("staff_tier_undo", "staff_endpoint_limit_undo", "staff_ladder_undo"),
    # Previews of what was typed: tests/usage/staff has them.
    *("staff_tier_preview", "staff_endpoint_limit_preview", "staff_ladder_preview"),
    # Parts of a page, and files.
    "audit_csv",
    "docs_example_file",
    "hits_csv",
    "jobs_live",
    "requests_csv",
    "subject_live",
    "usage_live",
}


def patterns(resolver=None, before=""):
    """Every address of the site: what it looks like, and its name."""
    for one in (resolver or get_resolver()).url_patterns:
        address = before + str(one.pattern)
        if address.startswith(NO_PAGES):
            continue
        if isinstance(one, URLResolver):
            yield from patterns(one, address)
        elif isinstance(one, URLPattern) and one.name and address not in SHORT_ROUTES:
            yield address, one.name


def test_every_page_is_listed_or_excused():
    listed = {resolve(re.sub(r"\{.*?\}", "1", page.address.partition("?")[0])).url_name for page in PAGES}
    missing = {name: address for address, name in patterns() if name not in listed | EXCUSED}
    assert not missing


def test_nothing_is_excused_that_is_gone_or_listed():
    listed = {resolve(re.sub(r"\{.*?\}", "1", page.address.partition("?")[0])).url_name for page in PAGES}
    assert not EXCUSED - {name for _, name in patterns()}
    assert not EXCUSED & listed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_name_is_good_for_a_file(page):
    assert re.fullmatch(r"[a-z0-9-]+", page.name)
