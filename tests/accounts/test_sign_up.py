"""Signing up: nobody gets in before a letter has reached them, and nobody learns who has an account."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import User
from tests.accounts.doors import (
    ADDRESS,
    ANOTHER_PASSWORD,
    PASSWORD,
    hashes,
    is_signed_in,
    last_letter,
    letters,
    make,
    path_in_the_last_letter,
    sign_in,
    sign_up,
    told_by,
    verify,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


def test_a_new_account_is_let_in_when_the_link_of_its_letter_was_opened(client):
    response = sign_up(client)
    assert response.headers["Location"] == "/accounts/confirm-email/"
    page = client.get("/accounts/confirm-email/").content.decode()
    assert "Look into your mail" in page
    assert ADDRESS in page
    assert not is_signed_in(client)
    assert letters() == [("email_confirmation_signup", ADDRESS)]

    somewhere_else = Client()
    assert verify(somewhere_else).headers["Location"] == "/accounts/login/"
    assert f"{ADDRESS} is your address now" in somewhere_else.get("/accounts/login/").content.decode()
    assert sign_in(client).headers["Location"] == "/"
    assert "You have no API key yet" in client.get("/").content.decode()


def test_a_link_is_opened_by_saying_yes_so_that_a_mail_scanner_verifies_nothing(client):
    sign_up(client)
    client.get(path_in_the_last_letter())
    assert not EmailAddress.objects.get().verified


def test_before_that_signing_in_leads_to_the_mail_and_sends_another_letter(client):
    sign_up(client)
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        other = Client()
        assert sign_in(other).headers["Location"] == "/accounts/confirm-email/"
        assert not is_signed_in(other)
    assert letters() == [("email_confirmation_signup", ADDRESS), ("email_confirmation", ADDRESS)]


def test_the_letter_can_be_sent_once_more_a_minute_later(client):
    sign_up(client)
    again = "/accounts/confirm-email/again/"
    assert client.get(again).status_code == 405
    page = client.post(again, follow=True).content.decode()
    assert "not a minute old" in page
    assert len(letters()) == 1
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert "Another letter is on its way" in client.post(again, follow=True).content.decode()
        assert len(letters()) == 2
    verify(Client())
    response = client.post(again)
    assert response.headers["Location"] == "/accounts/login/"


def test_who_waits_for_no_letter_is_told_how_to_get_one(client):
    response = client.post("/accounts/confirm-email/again/", follow=True)
    assert response.redirect_chain == [("/accounts/login/", 302)]
    assert "Sign in with your address and password" in response.content.decode()


@pytest.mark.parametrize("link", ["used", "expired", "made up", "of another secret"])
def test_a_link_that_does_nothing_says_what_to_do(client, settings, link):
    sign_up(client)
    path = path_in_the_last_letter()
    later = timezone.now()
    if link == "used":
        client.post(path)
    elif link == "expired":
        later += timedelta(days=3, seconds=5)
    elif link == "made up":
        path = "/accounts/confirm-email/MQ:1abcde:" + "x" * 10_000 + "/"
    else:
        settings.SECRET_KEY = "another"
    with time_machine.travel(later):
        stranger = Client()
        page = stranger.get(path).content.decode()
        assert "This link does nothing any more" in page
        assert 'href="/accounts/login/"' in page
        assert stranger.post(path).status_code == 404
    assert EmailAddress.objects.get().verified == (link == "used")


def test_a_letters_link_leads_to_where_we_are_told_we_are_whatever_the_request_says(client, settings):
    settings.ALLOWED_HOSTS = ["*"]
    settings.BASE_URL = "https://panel.example"
    sign_up(Client(headers={"Host": "evil.example"}))
    text = last_letter()
    assert "https://panel.example/accounts/confirm-email/" in text
    assert "evil" not in text


@pytest.mark.parametrize("account", ["verified", "not verified", "disabled", "without a password"])
def test_a_taken_address_is_answered_as_a_new_one_is(monkeypatch, valkey, account):
    def try_it():
        client = Client()
        with hashes(monkeypatch) as spent:
            answers = [told_by(sign_up(client))]
        answers.append(told_by(client.get("/accounts/confirm-email/")))
        answers.append(told_by(client.post("/accounts/confirm-email/again/")))
        answers.append(told_by(client.get("/accounts/confirm-email/")))
        answers.append(told_by(client.get("/accounts/login/")))
        return answers, len(spent), client.session.get_expiry_age()

    new = try_it()
    User.objects.all().delete()
    valkey.flushall()
    user = make(account)
    assert try_it() == new
    assert User.objects.get() == user
    assert user.check_password(PASSWORD) == (account != "without a password")
    assert [kind for kind, _ in letters()] == ["email_confirmation_signup", "account_already_exists"]


def test_the_address_is_compared_whatever_its_capitals(client):
    user = make("verified")
    sign_up(client, email="ADA@Example.COM")
    assert User.objects.get() == user
    assert letters() == [("account_already_exists", ADDRESS)]


def test_a_taken_address_keeps_its_password(client):
    user = make("verified")
    sign_up(client, password1=ANOTHER_PASSWORD)
    assert not user.check_password(ANOTHER_PASSWORD)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_the_same_form_sent_twice_makes_one_account(client):
    first, second = sign_up(client), sign_up(client)
    assert (first.status_code, first.headers["Location"]) == (second.status_code, second.headers["Location"])
    assert User.objects.count() == 1
    assert EmailAddress.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_form_sent_twice_at_once_makes_one_account():
    def send(_):
        try:
            return sign_up(Client()).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(send, range(4))) == [302] * 4
    assert User.objects.count() == 1


def test_an_address_that_somebody_else_only_asks_for_is_free(client):
    squatter = User.objects.create_user("squatter@example.com", PASSWORD)
    squatter.vouch_for_address()
    squatter.emailaddress_set.create(email=ADDRESS)
    sign_up(client)
    assert letters() == [("email_confirmation_signup", ADDRESS)]
    verify(client)
    assert sign_in(client).headers["Location"] == "/"
    assert User.objects.get(email=ADDRESS).emailaddress_set.get().verified


def address_of(length):
    """A valid address with that many characters."""
    labels = ".".join(["a" * 60] * 5)[: length - len("new@.com")]
    return f"new@{labels}.com"


def test_an_address_longer_than_an_account_can_keep_is_refused_and_not_cut(client):
    response = sign_up(client, email=address_of(255))
    assert response.context["form"].errors["email"] == [
        "Ensure this value has at most 254 characters (it has 255)."
    ]
    assert not User.objects.exists()
    # Nor by the browser, when it is pasted.
    page = client.get("/accounts/signup/").content.decode()
    assert "maxlength" not in page
    longest = address_of(254)
    sign_up(client, email=longest)
    assert User.objects.get().email == longest


@pytest.mark.parametrize(
    "changes",
    [
        {"email": "no address"},
        {"email": "ada\0@example.com"},
        {"email": "a" * 10_000 + "@example.com"},
        {"password1": "1234567890"},
        {"password1": "short"},
        {"password1": "eucalyptus\0leaf nine"},
        {"password1": ADDRESS},
        {"password1": ""},
    ],
)
def test_what_is_wrong_is_told_beside_its_field(client, changes):
    response = sign_up(client, **changes)
    assert response.status_code == 200
    assert set(response.context["form"].errors) == set(changes)
    assert not User.objects.exists()


def test_a_password_may_be_very_long(client):
    sign_up(client, password1="long enough " * 1_000)
    verify(client)
    assert sign_in(client, password="long enough " * 1_000).headers["Location"] == "/"


def test_sign_ups_from_one_network_are_bounded_whatever_a_header_says(client):
    for number in range(10):
        spoofing = Client(headers={"X-Forwarded-For": f"192.0.2.{number}"})
        assert sign_up(spoofing, email="no").status_code == 200
    response = sign_up(Client(headers={"X-Forwarded-For": "192.0.2.99"}), email="no")
    assert response.status_code == 429
    assert 'class="kp-brand"' in response.content.decode()
    # Neighbours in an IPv6 network are one.
    for number in range(10):
        assert client.post("/accounts/signup/", REMOTE_ADDR=f"2001:db8::{number:x}").status_code == 200
    assert client.post("/accounts/signup/", REMOTE_ADDR="2001:db8:0:ff::1").status_code == 429
    assert client.post("/accounts/signup/", REMOTE_ADDR="2001:db8:1::1").status_code == 200


def test_letters_to_one_address_are_bounded_to_one_in_a_minute(client):
    for _ in range(3):
        assert sign_up(Client()).status_code == 302
    assert len(letters()) == 1
