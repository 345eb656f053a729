"""What holds for every page of the panel: `tests.pages` lists them."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver, resolve
from django.urls.resolvers import URLPattern, URLResolver
from django.utils import timezone

from accounts.models import ApiKey, User
from images.models import Job
from koalapanel.demo import accounts
from tests.browser import DESKTOP, PHONE, barriers, is_wider_than_its_window, well_behaved
from tests.pages import PAGES, Seen
from tests.places import address_of, ask_for_a_replay, places_of
from usage.limits.store import limit_store
from usage.replay import running
from usage.subjects import BUCKETS

MOST_QUERIES = 12

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
    "staff_live",
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


@pytest.fixture
def lived_in(db, valkey, settings, tmp_path):
    """The sample accounts with their past, and what the addresses of pages ask for."""
    settings.VAR_DIR = tmp_path
    accounts.prepare()
    ask_for_a_replay()
    running.run_next(timezone.now())
    for bucket in range(BUCKETS):
        limit_store().memory.build(limit_store(), bucket)
    keys = ApiKey.objects.select_related("owner", "tier").filter(owner__email="harry@example.com")
    return places_of(keys.filter(status=ApiKey.Status.ACTIVE, is_rehearsal=False).latest("created_at"))


def client_of(seen):
    client = Client()
    email = {Seen.BY_CUSTOMERS: "harry@example.com", Seen.BY_STAFF: "admin@example.com"}.get(seen)
    if email:
        client.force_login(User.objects.get(email=email))
    return client


def test_every_page_opens_with_a_few_queries(lived_in):
    told = {}
    clients = {seen: client_of(seen) for seen in Seen}
    for page in PAGES:
        address = address_of(page, lived_in)
        assert address is not None, f"the sample accounts have nothing for {page.name}"
        clients[page.seen].get(address)  # the first look may write down that somebody was seen
        with CaptureQueriesContext(
            connection,
        ) as queries:
            status = clients[page.seen].get(address).status_code
        if status != 200 or len(queries) > MOST_QUERIES:
            told[page.name] = (address, status, len(queries))
    assert not told


def test_staff_pages_are_not_there_for_customers_and_ask_strangers_to_sign_in(lived_in):
    customer, stranger = client_of(Seen.BY_CUSTOMERS), Client()
    for page in PAGES:
        if page.seen is not Seen.BY_STAFF:
            continue
        address = address_of(page, lived_in)
        assert customer.get(address).status_code == 404, address
        assert customer.post(address).status_code in (404, 405), address  # (405: whoever asks)
        answer = stranger.get(address)
        assert answer.status_code == 302, address
        assert answer["Location"].startswith("/accounts/login/"), address


def test_what_is_another_customers_is_not_there(lived_in):
    other = Client()
    other.force_login(User.objects.get(email="polly@example.com"))
    tried = [page for page in PAGES if page.seen is Seen.BY_CUSTOMERS and "{" in page.address]
    assert len(tried) > 5
    for page in tried:
        address = address_of(page, lived_in)
        assert other.get(address).status_code == 404, address


@pytest.mark.browser
@pytest.mark.once
@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(600)
def test_axe_finds_nothing_on_any_page_and_nothing_is_asked_of_other_hosts(lived_in, live_server, context):
    """Each page on a phone in the dark and on a desktop in the light; what forms complain of, and menus that
    are open, have tests of their own."""
    found = {}
    page = context.new_page()
    for seen in Seen:
        context.clear_cookies()
        if seen is not Seen.BY_ANYBODY:
            cookie = client_of(seen).cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
        with well_behaved(page, live_server.url):
            for one in PAGES:
                if one.seen is not seen:
                    continue
                page.set_viewport_size(PHONE)
                page.emulate_media(color_scheme="dark", reduced_motion="reduce")
                page.goto(live_server.url + address_of(one, lived_in))
                wrong = barriers(page)
                if is_wider_than_its_window(page):
                    wrong.append("wider than a phone")
                page.set_viewport_size(DESKTOP)
                page.emulate_media(color_scheme="light")
                wrong += barriers(page)
                if wrong:
                    found[one.name] = wrong
    assert not found


@pytest.mark.browser
@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_a_customer_reaches_neither_staff_nor_anothers_things_in_a_browser(lived_in, live_server, context):
    """By typing their addresses in; the page that is there instead leads back."""
    job = Job.objects.create(
        owner=User.objects.get(email="harry@example.com"), subject_id=f"k:{lived_in['key']}", input_bytes=1
    )
    start = lived_in["start"]
    other = Client()
    other.force_login(User.objects.get(email="polly@example.com"))
    cookie = {"name": "sessionid", "value": other.cookies["sessionid"].value, "url": live_server.url}
    context.add_cookies([cookie])
    page = context.new_page()
    for address in (
        *("/staff/", "/staff/tiers/free/", "/staff/reactivations/", "/staff/audit/csv/"),
        *(f"/keys/{lived_in['key']}/", f"/?key={start}", f"/usage/hits/?key={start}"),
        *(f"/usage/blocks/{lived_in['block']}/", f"/jobs/{job.pk}/cancel/", f"/jobs/{job.pk}/download/"),
        *(f"/usage/requests.csv?key={start}", f"/usage/hits.csv?key={start}"),
    ):
        answer = page.goto(live_server.url + address)
        assert answer.status == 404, address
        assert page.get_by_role("heading", level=1).inner_text(), address
    page.get_by_role("link", name="KoalaPanel").click()
    assert page.url == f"{live_server.url}/"
