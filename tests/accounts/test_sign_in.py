"""Signing up, in and out, and the pages around it, as the server writes them."""

import re

import pytest
from django.template.loader import render_to_string
from django.test import Client

from accounts.models import User

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("valkey"),
]  # allauth counts attempts in the cache

PASSWORD = "eucalyptus leaf nine"


@pytest.fixture
def ada():
    ada = User.objects.create_user("ada@example.com", PASSWORD)
    ada.vouch_for_address()
    return ada


def control(response, name):
    """The attributes of the control with this name, as text."""
    tags = re.findall(r"<input[^>]*>", response.content.decode())
    return next(tag for tag in tags if f'name="{name}"' in tag)


def sign_in(client, **changes):
    return client.post("/accounts/login/", {"login": "ada@example.com", "password": PASSWORD, **changes})


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


def test_signing_up_makes_an_account_and_leads_to_the_usage_page(client):
    response = client.post("/accounts/signup/", {"email": "new@example.com", "password1": PASSWORD})
    assert response.headers["Location"] == "/"
    assert User.objects.get().email == "new@example.com"
    assert "You have no API key yet" in client.get("/").content.decode()


def address_of(length):
    """A valid address with that many characters."""
    labels = ".".join(["a" * 60] * 5)[: length - len("new@.com")]
    return f"new@{labels}.com"


def test_an_address_longer_than_an_account_can_keep_is_refused_and_not_cut(client):
    response = client.post("/accounts/signup/", {"email": address_of(255), "password1": PASSWORD})
    assert response.context["form"].errors["email"] == [
        "Ensure this value has at most 254 characters (it has 255)."
    ]
    assert not User.objects.exists()
    # Nor by the browser, when it is pasted.
    assert "maxlength" not in control(client.get("/accounts/signup/"), "email")
    longest = address_of(254)
    client.post("/accounts/signup/", {"email": longest, "password1": PASSWORD})
    assert User.objects.get().email == longest


def test_a_taken_address_makes_no_second_account(client, ada):
    response = client.post("/accounts/signup/", {"email": "Ada@example.com", "password1": PASSWORD})
    assert "_auth_user_id" not in client.session
    assert response.status_code in (200, 302)
    assert list(User.objects.all()) == [ada]


def test_a_password_reset_answers_the_same_whether_or_not_there_is_an_account(client, ada):
    known, unknown = (
        client.post("/accounts/password/reset/", {"email": email}, follow=True)
        for email in ("ada@example.com", "nobody@example.com")
    )
    assert known.redirect_chain == unknown.redirect_chain == [("/accounts/password/reset/done/", 302)]
    assert known.content == unknown.content


def test_too_many_attempts_are_refused_with_a_page_of_ours(client, ada):
    for _ in range(40):
        response = client.post("/accounts/signup/", {"email": "no address", "password1": "123"})
        if response.status_code != 200:
            break
    assert response.status_code == 429
    text = response.content.decode()
    assert 'class="kp-brand"' in text
    assert "Wait a few minutes" in text


def test_signing_out_takes_a_post(client, ada):
    sign_in(client)
    assert client.get("/accounts/logout/").status_code == 200
    assert client.get("/").status_code == 200
    assert client.post("/accounts/logout/").headers["Location"] == "/accounts/login/"
    assert client.get("/").status_code == 302


def test_the_staff_pages_are_offered_to_staff_alone(client, ada):
    client.force_login(ada)
    assert 'href="/admin/"' not in client.get("/").content.decode()
    ada.is_staff = True
    ada.save()
    assert 'href="/admin/"' in client.get("/").content.decode()


@pytest.mark.parametrize(
    "path",
    ["login/", "signup/", "password/reset/", "password/reset/done/", "logout/", "password/change/", "email/"],
)
def test_every_account_page_is_in_our_look_and_brings_nothing_inline(client, ada, path):
    if path in ("logout/", "password/change/", "email/"):
        client.force_login(ada)
    text = client.get(f"/accounts/{path}").content.decode()
    assert 'class="kp-brand"' in text
    assert "css/koalapanel.css" in text
    assert " style=" not in text
    assert re.search(r"\son\w+=", text) is None
    inline = re.findall(r"<script(?![^>]*(?:\bsrc=|application/json))[^>]*>", text)
    assert inline == []


def test_an_address_that_leads_nowhere_is_a_page_of_ours(client):
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert "There is nothing at this address" in response.content.decode()


def test_a_form_without_its_token_is_refused_with_a_page_of_ours():
    response = Client(enforce_csrf_checks=True).post("/accounts/login/", {})
    assert response.status_code == 403
    assert "This form was too old to be sent" in response.content.decode()


def test_the_page_for_our_own_errors_needs_nothing_that_could_be_broken():
    assert "Something broke on our side" in render_to_string("500.html")
