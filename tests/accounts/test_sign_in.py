"""Signing up, in and out, and the pages around it, as the server writes them."""

import re

import pytest
from django.core.management import call_command
from django.template.loader import render_to_string
from django.test import Client
from django.urls import get_resolver, reverse

from accounts.models import User
from tests.accounts.doors import (
    ACCOUNTS,
    ADDRESS,
    PASSWORD,
    hashes,
    is_signed_in,
    letters,
    make,
    sign_in,
    sign_up,
    told_by,
    verify,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("valkey"),
]  # allauth counts attempts in the cache


@pytest.fixture
def ada():
    return make("verified")


def control(response, name):
    """The attributes of the control with this name, as text."""
    tags = re.findall(r"<input[^>]*>", response.content.decode())
    return next(tag for tag in tags if f'name="{name}"' in tag)


def test_signing_in_leads_to_the_usage_page(client, ada):
    response = sign_in(client)
    assert response.status_code == 302
    assert response.headers["Location"] == "/"
    assert client.get("/").context["user"] == ada


def test_the_email_address_may_be_typed_in_capitals(client, ada):
    assert sign_in(client, login="Ada@Example.COM").status_code == 302


def test_the_session_ends_with_the_browser_unless_asked_to_stay(client, ada):
    sign_in(client)
    assert client.session.get_expire_at_browser_close()
    other = Client()
    sign_in(other, remember="on")
    assert not other.session.get_expire_at_browser_close()


def test_a_wrong_password_is_told_beside_both_fields_and_not_which_was_wrong(client, ada):
    response = sign_in(client, password="wrong")
    assert 'id="form-errors" role="alert"' in response.content.decode()
    for name in ("login", "password"):
        assert "form-errors" in re.search(r'aria-describedby="([^"]*)"', control(response, name))[1].split()
        assert 'aria-invalid="true"' in control(response, name)
    nobody = sign_in(client, login="nobody@example.com")
    assert nobody.context["form"].non_field_errors() == response.context["form"].non_field_errors()


def test_each_description_a_field_names_is_on_the_page(client, ada):
    pages = [
        client.get("/accounts/login/"),
        sign_in(client, password="wrong"),
        client.get("/accounts/signup/"),
        client.post("/accounts/signup/", {"email": "no address", "password1": "123"}),
        client.get("/accounts/password/reset/"),
    ]
    for page in pages:
        text = page.content.decode()
        named = " ".join(re.findall(r'aria-describedby="([^"]*)"', text)).split()
        assert all(f'id="{name}"' in text for name in named), named


def test_the_fields_tell_password_managers_what_they_are(client):
    page = client.get("/accounts/login/")
    assert 'autocomplete="email"' in control(page, "login")
    assert 'autocomplete="current-password"' in control(page, "password")
    page = client.get("/accounts/signup/")
    assert 'autocomplete="email"' in control(page, "email")
    assert 'autocomplete="new-password"' in control(page, "password1")


# --- Who is told what ------------------------------------------------------------------------------------


def test_a_wrong_password_is_answered_alike_whatever_is_behind_the_address(monkeypatch, valkey):
    answers = []
    for account in ACCOUNTS:
        User.objects.all().delete()
        valkey.flushall()
        make(account)
        client = Client()
        with hashes(monkeypatch) as spent:
            response = sign_in(client, password="wrong")
        answers.append((told_by(response), len(spent)))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][1] == 1


def test_the_right_password_of_a_disabled_account_opens_nothing_and_says_why(client):
    make("disabled")
    response = sign_in(client, follow=True)
    assert response.headers["Location"] == "/accounts/inactive/"
    assert not is_signed_in(client)
    assert "This account is switched off" in client.get("/accounts/inactive/").content.decode()


def test_a_disabled_account_is_signed_out_at_once(client, ada):
    sign_in(client)
    assert is_signed_in(client)
    ada.is_active = False
    ada.save()
    assert not is_signed_in(client)


def test_an_address_that_somebody_only_asks_for_does_not_open_their_account(client):
    somebody = User.objects.create_user("somebody@example.com", PASSWORD)
    somebody.vouch_for_address()
    somebody.emailaddress_set.create(email=ADDRESS)
    answers = [told_by(sign_in(client))]
    make("without a password")
    answers.append(told_by(sign_in(Client())))
    assert answers[0] == answers[1]
    assert "No account has this address and this password" in answers[0][2]


# --- Who has no verification yet -------------------------------------------------------------------------


def test_an_account_that_staff_made_is_verified_at_its_first_sign_in(client):
    boss = User.objects.create_superuser("boss@example.com", PASSWORD)
    staff = Client()
    staff.force_login(boss)
    form = {"email": "Ada@Example.com", "name": "", "usable_password": "true"}
    response = staff.post("/admin/accounts/user/add/", form | {"password1": PASSWORD, "password2": PASSWORD})
    assert response.status_code == 302
    assert User.objects.filter(email=ADDRESS).exists()
    assert sign_in(client).headers["Location"] == "/accounts/confirm-email/"
    assert letters() == [("email_confirmation", ADDRESS)]
    verify(client)
    assert sign_in(client).headers["Location"] == "/"


def test_who_makes_a_superuser_at_the_machine_vouches_for_the_address(client, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--no-input", "--email", "Ada@Example.com", verbosity=0)
    assert sign_in(client).headers["Location"] == "/"
    assert letters() == []


def test_an_address_that_staff_change_is_verified_anew_and_the_old_one_is_free(client, ada):
    ada.email = "Countess@example.com"
    ada.save()
    assert "No account has this address" in sign_in(client).content.decode()
    other = Client()
    sign_up(other)
    verify(other)
    assert sign_in(other).headers["Location"] == "/"
    assert sign_in(client, login="countess@example.com").headers["Location"] == "/accounts/confirm-email/"
    verify(client, "countess@example.com")
    assert sign_in(client, login="countess@example.com").headers["Location"] == "/"


# --- Guessing --------------------------------------------------------------------------------------------


def guess(times, client=None, **changes):
    """Wrong passwords, each from another network."""
    for number in range(times):
        client = Client(REMOTE_ADDR=f"198.51.{number // 250}.{number % 250 + 1}")
        response = sign_in(client, password="wrong", **changes)
    return response


def test_fifty_wrong_passwords_for_an_address_close_it_for_an_hour_from_wherever_they_come(ada, settings):
    assert "No account has" in guess(50).content.decode()
    settings.ALLOWED_HOSTS = ["*"]
    response = sign_in(Client(headers={"Host": "another.example"}))
    assert "Too many wrong passwords for this address" in response.content.decode()


def test_addresses_without_an_account_are_closed_just_the_same(valkey):
    refused = guess(51)
    valkey.flushall()
    make("verified")
    assert told_by(guess(51)) == told_by(refused)


def test_a_right_password_is_not_counted(ada):
    guess(49)
    for number in range(5):
        assert sign_in(Client(REMOTE_ADDR=f"203.0.113.{number}")).status_code == 302


# --- Where it leads --------------------------------------------------------------------------------------

ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "https:///evil.example",
    "https://evil.example",
    "http://testserver/",
    "http://testserver@evil.example/",
    "javascript:alert(1)",
    "data:text/html,x",
    "/\t/evil.example",
    " //evil.example",
    "\x00//evil.example",
    "%2F%2Fevil.example",
    "evil.example",
    "account_email",
    "//evil.example/" + "a" * 10_000,
]


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_no_page_leads_elsewhere(ada, elsewhere):
    client = Client()
    assert sign_in(client, next=elsewhere).headers["Location"] == "/"
    for path in ("login/", "signup/"):
        assert client.get(f"/accounts/{path}", {"next": elsewhere}).headers["Location"] == "/"
    response = client.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": elsewhere})
    assert response.headers["Location"] == "/"
    assert client.post("/accounts/logout/", {"next": elsewhere}).headers["Location"] == "/accounts/login/"
    assert client.get("/accounts/logout/", {"next": elsewhere}).headers["Location"] == "/accounts/login/"


@pytest.mark.parametrize("here", ["/?key=koala_abc", "/accounts/email/", "/%2F%2Fevil.example", "/a b"])
def test_a_path_of_ours_is_led_to(client, ada, here):
    page = client.get("/accounts/login/", {"next": here}).content.decode()
    assert 'name="next"' in page
    location = sign_in(client, next=here).headers["Location"]
    assert location == here.replace(" ", "%20")


def test_staff_come_in_by_the_same_door(client, ada):
    ada.is_staff = True
    ada.save()
    assert client.get("/admin/").headers["Location"] == "/admin/login/?next=/admin/"
    door = client.get("/admin/login/?next=/admin/").headers["Location"]
    assert door == "/accounts/login/?next=%2Fadmin%2F"
    posted = client.post("/admin/login/", {"username": ADDRESS, "password": PASSWORD})
    assert posted.headers["Location"].startswith("/accounts/login/")
    assert not is_signed_in(client)
    assert sign_in(client, next="/admin/").headers["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200
    # So do their passwords, of which a letter tells.
    assert client.get("/admin/password_change/").headers["Location"] == "/accounts/password/change/"


def test_whoever_is_not_staff_is_led_in_no_circle(client, ada):
    sign_in(client)
    assert client.get("/admin/", follow=True).status_code == 403


# --- The session -----------------------------------------------------------------------------------------


def test_a_session_that_somebody_else_knows_is_not_the_one_that_is_signed_in(client, ada):
    client.get("/accounts/login/")
    session = client.session
    session["planted"] = "by somebody"
    session.save()
    client.cookies["sessionid"] = planted = session.session_key
    sign_in(client)
    assert client.cookies["sessionid"].value != planted
    stranger = Client()
    stranger.cookies["sessionid"] = planted
    assert not is_signed_in(stranger)


def test_signing_out_takes_a_post(client, ada):
    sign_in(client)
    assert client.get("/accounts/logout/").status_code == 200
    assert client.get("/").status_code == 200
    assert client.post("/accounts/logout/").headers["Location"] == "/accounts/login/"
    assert client.get("/").status_code == 302


def test_the_staff_pages_are_offered_to_staff_alone(client, ada):
    client.force_login(ada)
    assert 'href="/staff/"' not in client.get("/").content.decode()
    ada.is_staff = True
    ada.save()
    assert 'href="/staff/"' in client.get("/").content.decode()


FOR_STRANGERS = [
    "signup/",
    "login/",
    "inactive/",
    "confirm-email/",
    "confirm-email/no-such-key/",
    "password/reset/",
    "password/reset/done/",
    "password/reset/key/done/",
    "password/reset/key/1-no-such-key/",
]
FOR_MEMBERS = ["logout/", "reauthenticate/", "email/", "password/change/"]


@pytest.mark.parametrize("path", FOR_STRANGERS + FOR_MEMBERS)
def test_every_door_is_in_our_look_and_brings_nothing_inline_and_is_not_kept(client, ada, path):
    if path in FOR_MEMBERS:
        sign_in(client)
    response = client.get(f"/accounts/{path}")
    assert "no-store" in response.headers["Cache-Control"]
    text = response.content.decode()
    assert response.status_code == 200
    assert 'class="kp-brand"' in text
    assert "css/koalapanel.css" in text
    assert " style=" not in text
    assert re.search(r"\son\w+=", text) is None
    inline = re.findall(r"<script(?![^>]*(?:\bsrc=|application/json))[^>]*>", text)
    assert inline == []


def test_neither_are_the_pages_behind_the_doors(client, ada):
    sign_in(client)
    for path in ("2fa/", "password/set/"):
        assert "no-store" in client.get(f"/accounts/{path}").headers["Cache-Control"]


@pytest.mark.parametrize("name", ["signup_closed", "verified_email_required"])
def test_pages_that_no_setting_of_ours_leads_to_are_in_our_look(rf, ada, name):
    request = rf.get("/")
    request.user = ada
    assert 'class="kp-brand"' in render_to_string(f"account/{name}.html", {"user": ada}, request)


def test_every_address_of_a_door_has_the_name_that_allauth_knows_it_by():
    ours = {name for name in get_resolver().reverse_dict if isinstance(name, str)}
    assert ours >= {"account_login", "account_signup", "account_reset_password", "account_email"}
    assert reverse("mfa_authenticate") == "/accounts/2fa/authenticate/"


@pytest.mark.parametrize("path", ["signup/", "login/", "password/reset/", "confirm-email/again/", "logout/"])
def test_a_form_without_its_token_is_refused_with_a_page_of_ours(path):
    response = Client(enforce_csrf_checks=True).post(f"/accounts/{path}", {})
    assert response.status_code == 403
    assert "This form was too old to be sent" in response.content.decode()


@pytest.mark.parametrize(
    "changes",
    [
        {"login": "ada\0@example.com"},
        {"login": "a" * 10_000 + "@example.com"},
        {"login": "no address"},
        {"password": "eucalyptus\0leaf"},
        {"password": "x" * 10_000},
    ],
)
def test_what_makes_no_sense_is_an_error_of_the_form(client, ada, changes):
    response = sign_in(client, **changes)
    assert response.status_code == 200
    assert response.context["form"].errors
    assert not is_signed_in(client)


def test_an_address_that_leads_nowhere_is_a_page_of_ours(client):
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert "There is nothing at this address" in response.content.decode()


def test_the_page_for_our_own_errors_needs_nothing_that_could_be_broken():
    assert "Something broke on our side" in render_to_string("500.html")
