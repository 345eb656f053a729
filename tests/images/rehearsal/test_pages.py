"""Rehearsal keys on pages and by command: made on purpose, and marked wherever they are shown."""

import json

import pytest
from django.core.management import call_command
from django.test import Client

from accounts import api_keys
from accounts.models import ApiKey, AuditEntry, User


@pytest.fixture
def hers(client, owner) -> Client:
    client.force_login(owner)
    return client


def read(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_it_is_created_by_a_tick_and_shown_with_what_to_try(hers):
    text = hers.post("/keys/new/", {"name": "ci", "ends": "never", "is_rehearsal": "on"}).content.decode()
    key = ApiKey.objects.get()
    assert key.is_rehearsal
    assert "X-Koala-Rehearse: cooldown" in text
    assert key.start.startswith("koala_test")
    assert len(key.start) == len("koala_test") + 6
    assert AuditEntry.objects.get(action="created").after["is_rehearsal"] is True


def test_without_the_tick_it_is_an_ordinary_key(hers):
    hers.post("/keys/new/", {"name": "prod", "ends": "never"})
    key = ApiKey.objects.get()
    assert not key.is_rehearsal
    assert not key.start.startswith("koala_test")
    assert "is_rehearsal" not in AuditEntry.objects.get(action="created").after


def test_it_counts_among_the_accounts_keys(hers, key, settings):
    settings.KEYS_PER_ACCOUNT = 1
    assert "at most 1 keys" in read(hers, "/keys/new/")


def test_no_ordinary_text_looks_like_a_rehearsal(monkeypatch):
    letters = iter("testtest" + "x" * 100)
    monkeypatch.setattr(api_keys.secrets, "choice", lambda alphabet: next(letters))
    assert api_keys.new_text().startswith("koala_xxxx")


def test_its_new_secret_is_marked_as_well_and_well_formed(owner, key):
    text = api_keys.give_new_secret(key[0])
    assert api_keys.looks_like_a_rehearsal(text)
    assert api_keys.is_well_formed(text)
    assert api_keys.find(text) == key[0]
    assert key[0].start == text[:16]


@pytest.mark.parametrize("path", ["/keys/", "/keys/{}/", "/?key={}", "/keys/new/"])
def test_pages_mark_it(hers, key, path):
    place = key[0].start if "?" in path else key[0].pk
    assert "Rehearsal" in read(hers, path.format(place))


def test_its_usage_page_says_how_to_use_it_instead(hers, key, issue):
    text = read(hers, f"/?key={key[0].start}")
    assert "This key rehearses" in text
    assert "X-Koala-Rehearse: rate_limited; retry_after=2" in text
    assert "Requests today" not in text
    issue(name="prod")
    assert "Requests today" in read(hers, "/")  # an ordinary key's is what people come for


def test_a_block_is_never_claimed_nor_asked_about(hers, key):
    assert "It rehearses: what it asks for is acted" in read(hers, f"/keys/{key[0].pk}/")
    assert "Not counted" in read(hers, "/keys/")


def test_staff_see_what_it_is(client, key):
    client.force_login(User.objects.create_user("ada@example.com", is_staff=True, is_superuser=True))
    assert "Rehearsal key" in client.get("/admin/accounts/apikey/").content.decode()
    assert "Rehearsal key" in client.get(f"/admin/accounts/apikey/{key[0].pk}/change/").content.decode()


def test_a_command_issues_it_and_tells_of_it(capsys):
    call_command("issue_key", "ci@example.com", "--rehearsal")
    told = capsys.readouterr()
    text = told.out.strip()
    assert text.startswith("koala_test")
    assert "New rehearsal key" in told.err
    call_command("key_status", text[:16])
    assert json.loads(capsys.readouterr().out)["rehearsal"] is True


def test_the_account_has_no_jobs_by_it(hers, key):
    assert "Create a key" in read(hers, "/jobs/")


def test_the_docs_have_every_word(client):
    from images.rehearsal.asking import words
    from usage.escalation.ladder import Ladder

    text = read(client, "/docs/rehearsal/")
    for word in words(Ladder()):
        assert f"<code>{word}</code>" in text
    assert "X-Koala-Rehearsal: true" in text
