"""Changing the email address: the new one is verified before it takes the place of the old one."""

from datetime import timedelta

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.models import User
from tests.accounts.doors import (
    ACCOUNTS,
    ADDRESS,
    PASSWORD,
    is_signed_in,
    letters,
    make,
    path_in_the_last_letter,
    sign_in,
    told_by,
    verify,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

NEW = "countess@example.com"


@pytest.fixture
def ada(client):
    """Signed in, and sure to be herself."""
    ada = make("verified")
    confirmed(client)
    return ada


def confirmed(client, email=ADDRESS):
    sign_in(client, login=email)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})


def ask_for(client, email=NEW):
    return client.post("/accounts/email/", {"email": email, "action_add": "1"})


def test_the_new_address_takes_the_place_of_the_old_one_when_its_link_is_opened(client, ada):
    assert ask_for(client).headers["Location"] == "/accounts/email/"
    page = client.get("/accounts/email/").content.decode()
    assert "Look into your mail" in page
    assert NEW in page
    assert letters() == [("email_confirmation", NEW)]
    ada.refresh_from_db()
    assert ada.email == ADDRESS
    assert sign_in(Client()).headers["Location"] == "/"
    assert "No account has this address" in sign_in(Client(), login=NEW).content.decode()

    verify(Client(), NEW)
    ada.refresh_from_db()
    assert ada.email == NEW
    address = ada.emailaddress_set.get()
    assert (address.email, address.verified, address.primary) == (NEW, True, True)
    assert letters()[-1] == ("email_changed", ADDRESS)
    assert is_signed_in(client)
    assert sign_in(Client(), login=NEW).headers["Location"] == "/"
    assert sign_in(Client()).status_code == 200


def test_it_takes_the_password_once_more(client):
    make("verified")
    sign_in(client)
    response = ask_for(client)
    assert response.headers["Location"] == "/accounts/reauthenticate/?next=%2Faccounts%2Femail%2F"
    assert letters() == []
    # What was asked is done when it was given.
    confirm = {"password": PASSWORD, "next": "/accounts/email/"}
    assert client.post("/accounts/reauthenticate/", confirm).headers["Location"] == "/accounts/email/"
    assert letters() == [("email_confirmation", NEW)]


def test_another_wish_replaces_the_one_before_whose_link_is_void(client, ada):
    ask_for(client, "first@example.com")
    first = path_in_the_last_letter("first@example.com")
    ask_for(client)
    assert "This link does nothing any more" in client.get(first).content.decode()
    assert set(ada.emailaddress_set.values_list("email", flat=True)) == {ADDRESS, NEW}


def test_the_wish_can_be_taken_back(client, ada):
    ask_for(client)
    path = path_in_the_last_letter(NEW)
    client.post("/accounts/email/", {"email": NEW, "action_remove": "1"})
    assert "The old address stays" in client.get("/accounts/email/").content.decode()
    assert "This link does nothing any more" in Client().get(path).content.decode()
    assert ada.emailaddress_set.get().email == ADDRESS


def test_the_letter_can_be_sent_once_more(client, ada):
    ask_for(client)
    again = "/accounts/confirm-email/again/"
    assert "not a minute old" in client.post(again, follow=True).content.decode()
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert "Another letter is on its way" in client.post(again, follow=True).content.decode()
    assert letters() == [("email_confirmation", NEW)] * 2
    verify(client, NEW)
    assert client.post(again).headers["Location"] == "/accounts/email/"


def test_who_asks_is_answered_alike_whatever_is_behind_the_address(valkey):
    answers = []
    for account in ACCOUNTS:
        User.objects.all().delete()
        valkey.flushall()
        make(account)
        eve = Client()
        User.objects.create_user("eve@example.com", PASSWORD).vouch_for_address()
        confirmed(eve, "eve@example.com")
        answers.append([told_by(ask_for(eve, ADDRESS)), told_by(eve.get("/accounts/email/"))])
    assert all(answer == answers[0] for answer in answers)
    # Only the mailbox tells.
    assert [kind for kind, _ in letters()] == ["email_confirmation"] + ["account_already_exists"] * 4


def test_an_address_that_got_an_account_meanwhile_stays_that_accounts(client, ada):
    ask_for(client)
    path = path_in_the_last_letter(NEW)
    countess = User.objects.create_user(NEW, PASSWORD)
    response = Client().post(path, follow=True)
    assert "belongs to another account" in response.content.decode()
    countess.vouch_for_address()
    assert "belongs to another account" in Client().get(path).content.decode()
    ada.refresh_from_db()
    countess.refresh_from_db()
    assert (ada.email, countess.email) == (ADDRESS, NEW)


def test_what_staff_changed_meanwhile_stays(client, ada):
    ask_for(client)
    path = path_in_the_last_letter(NEW)
    ada.email = "third@example.com"
    ada.save()
    assert "This link does nothing any more" in Client().get(path).content.decode()
    # The account page heals what is missing, and a wish doesn't take the address away.
    page = client.get("/accounts/email/").content.decode()
    assert "Not verified yet" in page
    ask_for(client, "fourth@example.com")
    ada.refresh_from_db()
    assert ada.email == "third@example.com"
    addresses = set(ada.emailaddress_set.values_list("email", flat=True))
    assert addresses == {"third@example.com", "fourth@example.com"}


@pytest.mark.parametrize(
    "email", [ADDRESS, "ADA@example.com", "no address", "", "c\0@example.com", "c" * 250 + "@example.com"]
)
def test_what_is_no_new_address_is_told_beside_the_field(client, ada, email):
    response = ask_for(client, email)
    assert response.status_code == 200
    assert response.context["form"].errors["email"]
    assert letters() == []


def test_nobody_reaches_anothers_address_nor_removes_the_only_one(client, ada):
    User.objects.create_user("eve@example.com", PASSWORD).vouch_for_address()
    for email in ("eve@example.com", "e\0ve@example.com", "e" * 10_000, ADDRESS, ""):
        for action in ("action_send", "action_remove", "action_primary"):
            assert client.post("/accounts/email/", {"email": email, action: "1"}).status_code == 302
            cache.clear()
    assert set(EmailAddress.objects.values_list("email", flat=True)) == {ADDRESS, "eve@example.com"}
    assert letters() == []


def test_an_address_that_is_not_verified_is_not_put_in(client, ada):
    ada.email = "third@example.com"
    ada.save()
    ask_for(client)
    for also in ({}, {"action_remove": "1"}):
        client.post("/accounts/email/", {"email": NEW, "action_primary": "1", **also})
    ada.refresh_from_db()
    assert ada.email == "third@example.com"


def test_the_same_wish_sent_twice_is_one(client, ada):
    assert [ask_for(client).status_code for _ in range(2)] == [302, 302]
    assert ada.emailaddress_set.count() == 2
    assert letters() == [("email_confirmation", NEW)]


def test_letters_to_addresses_that_somebody_says_are_theirs_are_bounded(client, ada):
    answers = [ask_for(client, f"victim{number}@example.com") for number in range(11)]
    assert [answer.status_code for answer in answers] == [302] * 10 + [429]
    assert "after an hour it works" in answers[-1].content.decode()
