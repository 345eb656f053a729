"""Passwords: forgotten, set by a link, changed; and asked for once more before what opens an account."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.models import User
from tests.accounts.doors import (
    ACCOUNTS,
    ADDRESS,
    ANOTHER_PASSWORD,
    PASSWORD,
    is_signed_in,
    letters,
    make,
    path_in_the_last_letter,
    sign_in,
    told_by,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

BOTH = {"password1": ANOTHER_PASSWORD, "password2": ANOTHER_PASSWORD}


@pytest.fixture
def ada():
    return make("verified")


def ask_for_a_link(client, email=ADDRESS):
    return client.post("/accounts/password/reset/", {"email": email})


def open_form(client, path):
    """Follow the link of a letter to the form; gives the form's own address, without the token."""
    response = client.get(path)
    assert response.status_code == 302
    form = response.headers["Location"]
    assert form.endswith("-set-password/")
    return form


def change(client, old=PASSWORD, **changes):
    return client.post("/accounts/password/change/", {"oldpassword": old, **BOTH, **changes})


# --- Forgotten -------------------------------------------------------------------------------------------


def test_the_link_of_the_letter_sets_a_new_password_and_ends_every_session(client, ada):
    signed_in = Client()
    sign_in(signed_in)
    ask_for_a_link(client)
    assert letters() == [("password_reset_key", ADDRESS)]
    somewhere_else = Client()
    form = open_form(somewhere_else, path_in_the_last_letter())
    assert somewhere_else.post(form, BOTH).headers["Location"] == "/accounts/password/reset/key/done/"
    assert (
        "Your new password is set"
        in somewhere_else.get("/accounts/password/reset/key/done/").content.decode()
    )
    assert letters()[-1] == ("password_reset", ADDRESS)
    assert not is_signed_in(signed_in)
    assert not is_signed_in(somewhere_else)
    assert sign_in(client).status_code == 200
    assert sign_in(client, password=ANOTHER_PASSWORD).headers["Location"] == "/"


def test_who_asks_is_answered_alike_whatever_is_behind_the_address(valkey):
    answers = []
    for account in ACCOUNTS:
        User.objects.all().delete()
        valkey.flushall()
        make(account)
        client = Client()
        asked = told_by(ask_for_a_link(client))
        answers.append((asked, told_by(client.get("/accounts/password/reset/done/"))))
    assert all(answer == answers[0] for answer in answers)
    # Only the mailbox tells.
    link, none = ("password_reset_key", ADDRESS), ("unknown_account", ADDRESS)
    assert letters() == [none, link, link, none, link]


def test_the_link_verifies_the_address_since_it_was_read_there(client):
    make("not verified")
    ask_for_a_link(client)
    client.post(open_form(client, path_in_the_last_letter()), BOTH)
    assert sign_in(client, password=ANOTHER_PASSWORD).headers["Location"] == "/"


def test_an_account_that_was_made_for_a_key_is_opened_by_a_link(client):
    make("without a password")
    ask_for_a_link(client)
    client.post(open_form(client, path_in_the_last_letter()), BOTH)
    assert sign_in(client, password=ANOTHER_PASSWORD).headers["Location"] == "/"


def test_an_address_that_is_only_asked_for_gets_no_link(client, ada):
    ada.emailaddress_set.create(email="stranger@example.com")
    ask_for_a_link(client, "stranger@example.com")
    assert letters() == [("unknown_account", "stranger@example.com")]


@pytest.mark.parametrize("link", ["used", "expired", "made up", "of somebody else", "of the password before"])
def test_a_link_that_does_nothing_says_what_to_do(client, ada, link):
    ask_for_a_link(client)
    path = path_in_the_last_letter()
    later = timezone.now()
    if link == "used":
        client.post(open_form(client, path), BOTH)
    elif link == "expired":
        later += timedelta(days=3, seconds=5)
    elif link == "made up":
        path = "/accounts/password/reset/key/" + "z" * 13 + "-" + "x" * 10_000 + "/"
    elif link == "of somebody else":
        other = User.objects.create_user("other@example.com", PASSWORD)
        token = path.rstrip("/").partition("-")[2]
        path = f"/accounts/password/reset/key/{other.pk:x}-{token}/"
    else:
        ada.set_password(PASSWORD)
        ada.save()
    before = list(User.objects.values_list("password"))
    with time_machine.travel(later):
        for response in (Client().get(path), Client().post(path, BOTH)):
            page = response.content.decode()
            assert "This link does nothing any more" in page
            assert 'href="/accounts/password/reset/"' in page
    assert list(User.objects.values_list("password")) == before


@pytest.mark.parametrize("key", ["%00", "a%00b", "set-password", "..%2F..", "%F0%9F%90%A8"])
@pytest.mark.parametrize("user", ["1", "0", "zzzzzzzzzzzzz", "z" * 10_000])
def test_a_link_that_makes_no_sense_is_none(client, ada, user, key):
    response = client.get(f"/accounts/password/reset/key/{user}-{key}/")
    assert response.status_code == 200
    assert "This link does nothing any more" in response.content.decode()


def test_a_link_for_one_account_signs_another_out(client, ada):
    other = User.objects.create_user("other@example.com", PASSWORD)
    client.force_login(other)
    ask_for_a_link(Client())
    client.get(open_form(client, path_in_the_last_letter()))
    assert not is_signed_in(client)


@pytest.mark.parametrize(
    "changes",
    [
        {"password2": "something else"},
        {"password1": "short", "password2": "short"},
        {"password1": "nul\0" * 5, "password2": "nul\0" * 5},
        {"password1": ADDRESS, "password2": ADDRESS},
    ],
)
def test_a_password_that_will_not_do_is_told_beside_its_field_and_the_link_stays_good(client, ada, changes):
    ask_for_a_link(client)
    form = open_form(client, path_in_the_last_letter())
    response = client.post(form, {**BOTH, **changes})
    assert response.status_code == 200
    assert response.context["form"].errors
    assert client.post(form, BOTH).status_code == 302


@pytest.mark.parametrize("email", ["ada\0@example.com", "a" * 10_000 + "@example.com", "no address", ""])
def test_an_address_that_is_none_gets_no_letter(client, email):
    assert ask_for_a_link(client, email).status_code == 200
    assert letters() == []


def test_a_new_password_opens_what_wrong_ones_had_closed(client, ada):
    for number in range(51):
        response = sign_in(Client(REMOTE_ADDR=f"198.51.100.{number}"), password="wrong")
    assert "set a new password by a link" in response.content.decode()
    assert sign_in(client).status_code == 200
    ask_for_a_link(client)
    client.post(open_form(client, path_in_the_last_letter()), BOTH)
    assert sign_in(client, password=ANOTHER_PASSWORD).headers["Location"] == "/"


# --- Changed ---------------------------------------------------------------------------------------------


def test_a_changed_password_ends_the_other_sessions_and_a_letter_tells_of_it(client, ada):
    other = Client()
    for browser in (client, other):
        sign_in(browser)
    response = change(client)
    assert response.headers["Location"] == "/accounts/password/change/"
    assert "Every other device is signed out" in client.get("/accounts/password/change/").content.decode()
    assert is_signed_in(client)
    assert not is_signed_in(other)
    assert letters() == [("password_changed", ADDRESS)]
    ada.refresh_from_db()
    assert ada.check_password(ANOTHER_PASSWORD)


@pytest.mark.parametrize(
    "changes",
    [
        {"oldpassword": "wrong"},
        {"oldpassword": ""},
        {"oldpassword": "nul\0"},
        {"password1": "short", "password2": "short"},
        {"password2": "something else"},
        {"password1": "x" * 10_000},
    ],
)
def test_a_change_that_will_not_do_changes_nothing(client, ada, changes):
    sign_in(client)
    response = change(client, **changes)
    assert response.status_code == 200
    assert response.context["form"].errors
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)


def test_the_same_change_sent_twice_is_done_once(client, ada):
    sign_in(client)
    assert change(client).status_code == 302
    assert change(client).status_code == 200
    assert letters() == [("password_changed", ADDRESS)]


def test_who_found_a_browser_open_has_few_guesses(client, ada):
    sign_in(client)
    assert [change(client, old="wrong").status_code for _ in range(6)] == [200] * 5 + [429]


def test_an_account_without_a_password_sets_its_first(client):
    client.force_login(make("without a password"))
    assert client.get("/accounts/password/change/").headers["Location"] == "/accounts/password/set/"
    assert "Your account has none yet" in client.get("/accounts/password/set/").content.decode()
    assert client.post("/accounts/password/set/", BOTH).status_code == 302
    assert letters() == [("password_set", ADDRESS)]
    assert sign_in(Client(), password=ANOTHER_PASSWORD).headers["Location"] == "/"


# --- Asked for once more ---------------------------------------------------------------------------------


def test_a_wrong_password_confirms_nothing_and_counts_as_one_at_the_sign_in(client, ada):
    sign_in(client)
    page = client.post("/accounts/reauthenticate/", {"password": "wrong"})
    assert "This is not your password" in page.content.decode()
    for number in range(49):
        sign_in(Client(REMOTE_ADDR=f"198.51.100.{number}"), password="wrong")
    page = client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert "Too many wrong" in page.content.decode()
