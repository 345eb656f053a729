"""The usage page as the server writes it, before any script."""

import threading
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiKey, User
from usage.limits.store import limit_store

pytestmark = pytest.mark.django_db(transaction=True)

CONVERT = "/api/v1/convert"


@pytest.fixture(autouse=True)
def _clock(driven_clock):
    return driven_clock


@pytest.fixture
def signed_in(client, owner):
    client.force_login(owner)
    return client


@pytest.fixture
def call(client):
    """Makes `times` real requests to the API with a key."""

    def make(text, times=1):
        return [client.post(CONVERT, headers={"X-Api-Key": text}).status_code for _ in range(times)]

    return make


class Words(HTMLParser):
    """A page's text as it is read, with one space between words; what scripts and styles say is left out."""

    def __init__(self):
        super().__init__()
        self.words = []
        self.silent = False

    def handle_starttag(self, tag, attrs):
        self.silent = tag in ("script", "style")

    def handle_endtag(self, tag):
        self.silent = False

    def handle_data(self, data):
        if not self.silent:
            self.words += data.split()


def read(response):
    assert response.status_code == 200
    words = Words()
    words.feed(response.content.decode())
    return " ".join(words.words)


def test_the_numbers_are_in_the_page_before_any_script(signed_in, issue, call, driven_clock):
    _, text = issue(day_override=12_345)
    driven_clock.set("2026-03-01T12:00:30")
    assert call(text, 33).count(429) == 3
    page = read(signed_in.get("/"))
    assert "Requests today 30 of 12,345 12,315 left resets Mon 00:00 UTC in 11 h 59 min" in page
    assert "This minute Used up 30 of 30 0 left resets 12:01 UTC in 30 s" in page
    assert "In flight now 0 of 5 5 left" in page
    assert "Rate-limit hits Requests that were refused in the last 24 hours 3" in page
    assert "12:00 UTC convert Minute limit 3" in page
    assert "Limit reached: this minute's requests are used up. until 12:01 UTC in 30 s" in page


def test_an_unused_key_is_all_clear(signed_in, issue):
    issue()
    page = read(signed_in.get("/"))
    assert "All clear. Every limit of this key has room." in page
    assert "No request was refused" in page
    assert "Clear you are here" in page


def test_from_80_per_cent_it_warns_in_words(signed_in, issue, call):
    _, text = issue(minute_override=10)
    call(text, 7)
    assert "Almost used up" not in read(signed_in.get("/"))
    call(text)
    page = read(signed_in.get("/"))
    assert "This minute Almost used up 8 of 10" in page
    assert "Warned: this minute's requests are almost used up." in page


def test_it_says_where_each_limit_comes_from(signed_in, issue):
    issue(minute_override=7)
    page = read(signed_in.get("/"))
    assert "1,000 requests per UTC day: Free tier." in page
    assert "7 requests per minute: this key's override." in page


def test_no_limit_is_said_in_words(signed_in, issue):
    key, _ = issue()
    key.tier.day = None
    key.tier.save()
    page = read(signed_in.get("/"))
    assert "Requests today 0 no limit" in page
    assert "No limit requests per UTC day: Free tier." in page


def test_without_a_key_it_says_how_keys_come_about(signed_in):
    page = read(signed_in.get("/"))
    assert "You have no API key yet" in page
    assert "manage.py issue_key olivia@example.com" in page


def test_the_newest_working_key_is_shown_and_the_others_can_be_chosen(signed_in, issue):
    old, _ = issue()
    issue(status=ApiKey.Status.REVOKED)
    response = signed_in.get("/")
    assert response.context["key"] == old
    response = signed_in.get("/", {"key": old.start})
    assert response.context["key"] == old
    assert all(f"?key={key.start}" in response.content.decode() for key in ApiKey.objects.all())


@pytest.mark.parametrize("name", ["usage", "usage_live"])
def test_it_never_shows_another_accounts_key(signed_in, issue, name):
    issue()
    theirs, _ = issue(owner=User.objects.create_user("mallory@example.com"))
    assert signed_in.get(reverse(name), {"key": theirs.start}).status_code == 404
    assert signed_in.get(reverse(name), {"key": "koala_nobody"}).status_code == 404


def test_whoever_is_not_signed_in_is_sent_to_the_sign_in(client):
    response = client.get("/?key=koala_abc")
    assert response.status_code == 302
    assert response.headers["Location"] == "/accounts/login/?next=/%3Fkey%3Dkoala_abc"


def test_a_page_left_open_after_signing_out_is_told_to_start_anew(client):
    response = client.get(reverse("usage_live"))
    assert response.headers["HX-Refresh"] == "true"
    assert response.content == b""


def test_the_old_address_leads_to_the_page(signed_in):
    assert signed_in.get("/usage/?key=koala_abc").headers["Location"] == "/?key=koala_abc"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"status": ApiKey.Status.SUSPENDED}, "Suspended: this key is refused. To have it reactivated, tell"),
        ({"status": ApiKey.Status.REVOKED}, "Revoked: this key is refused for good."),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "Expired: this key is past its date."),
    ],
)
def test_a_key_that_is_refused_still_has_its_page(signed_in, issue, fields, words):
    issue(**fields)
    assert words in read(signed_in.get("/"))


def test_without_the_limit_store_the_page_says_so_and_guesses_nothing(
    signed_in, issue, tmp_path, monkeypatch
):
    issue()
    monkeypatch.setattr(limit_store(), "url", f"unix://{tmp_path}/gone.sock")
    monkeypatch.setattr(limit_store(), "_threads", threading.local())
    page = read(signed_in.get("/"))
    assert "The limit store can't be reached." in page
    assert "Unknown: the counters can't be read right now." in page
    assert "All clear" not in page
    assert "you are here" not in page
    assert "No request was refused" not in page


def test_what_an_account_calls_its_key_is_text_and_nothing_else(signed_in, issue):
    key, _ = issue()
    ApiKey.objects.filter(pk=key.pk).update(name="<script>alert(1)</script>")
    assert "<script>alert(1)" not in signed_in.get("/").content.decode()


def test_more_keys_cost_no_more_queries(signed_in, issue, built, django_assert_max_num_queries):
    for _ in range(5):
        issue()
    with django_assert_max_num_queries(9):
        signed_in.get("/")
