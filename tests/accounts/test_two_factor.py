"""Second factors: set up, asked for, used once, kept sealed, and owed by staff."""

import json
import re

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.core.cache import cache
from django.test import Client
from django.urls import NoReverseMatch, get_resolver, reverse

from accounts.models import User
from accounts.sealing import BrokenSeal, seal, unseal
from accounts.sign_in.staff_mfa import OPEN
from usage.routes import is_api_path

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

PASSWORD = "eucalyptus leaf nine"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
NOON = 1_772_366_400  # 2026-03-01T12:00:00Z, the start of a period


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def ada(clock):
    ada = User.objects.create_user("ada@example.com", PASSWORD)
    ada.vouch_for_address()
    return ada


@pytest.fixture
def app(ada):
    """Ada's authenticator app."""
    return TOTP.activate(ada, SECRET).instance


@pytest.fixture
def recovery_codes(ada, app):
    return RecoveryCodes.activate(ada).generate_codes()


def code(periods=0, secret=SECRET):
    """What the app shows, or has shown, or will show, some periods from noon."""
    return format_hotp_value(hotp_value(secret, NOON // 30 + periods))


def password_given(client=None, email="ada@example.com", **extra):
    client = client or Client()
    client.post("/accounts/login/", {"login": email, "password": PASSWORD, **extra})
    return client


def confirmed(client):
    """The password once more, as what changes a second factor asks for."""
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302
    return client


def answer(client, text):
    return client.post("/accounts/2fa/authenticate/", {"code": text})


def is_in(client):
    return client.get("/account/").status_code == 200


def errors(response):
    return re.findall(r"<span>(.*?)</span></div></div>", response.content.decode())


class TestSigningIn:
    def test_asks_for_a_code_after_the_password(self, app):
        client = Client()
        response = client.post("/accounts/login/", {"login": "ada@example.com", "password": PASSWORD})
        assert response.headers["Location"] == "/accounts/2fa/authenticate/"
        assert not is_in(client)
        assert answer(client, code()).headers["Location"] == "/"
        assert is_in(client)

    def test_leads_to_where_it_was_asked_for(self, app):
        client = password_given(next="/account/sessions/")
        assert answer(client, code()).headers["Location"] == "/account/sessions/"

    @pytest.mark.parametrize("periods", [-1, 0, 1])
    def test_takes_a_phone_whose_clock_is_half_a_minute_off(self, app, periods):
        client = password_given()
        answer(client, code(periods))
        assert is_in(client)

    @pytest.mark.parametrize("periods", [-2, 2, 1000])
    def test_takes_no_code_of_another_time(self, app, periods):
        client = password_given()
        assert "This code is not right" in answer(client, code(periods)).content.decode()
        assert not is_in(client)

    @pytest.mark.parametrize(
        "text",
        ["", "000000", "12345", "\uff11\uff12\uff13\uff14\uff15\uff16", "a" * 10_000, "1\x002", "=' OR 1=1"],
    )
    def test_takes_nothing_that_is_no_code(self, app, text):
        client = password_given()
        response = answer(client, text)
        assert response.status_code == 200
        assert errors(response)
        assert not is_in(client)

    def test_takes_blanks_as_an_app_shows_them(self, app):
        client = password_given()
        answer(client, f"{code()[:3]} {code()[3:]}")
        assert is_in(client)

    def test_without_the_password_no_code_is_asked_for(self, app):
        client = Client()
        assert answer(client, code()).headers["Location"].startswith("/accounts/login/")
        assert not is_in(client)

    def test_a_code_of_somebody_else_opens_nothing(self, app):
        eve = User.objects.create_user("eve@example.com", PASSWORD)
        eve.vouch_for_address()
        TOTP.activate(eve, SECRET[::-1])
        client = password_given()
        answer(client, code(secret=SECRET[::-1]))
        assert not is_in(client)


class TestACodeWorksOnce:
    def test_also_while_it_is_still_shown(self, app):
        answer(password_given(), code())
        other = password_given()
        assert "use each code once" in answer(other, code()).content.decode()
        assert not is_in(other)

    @pytest.mark.parametrize("seconds", [31, 45, 59])
    def test_also_after_the_cache_forgot_it(self, app, clock, seconds):
        answer(password_given(), code())
        cache.clear()
        clock.shift(seconds)
        other = password_given()
        answer(other, code())
        assert not is_in(other)
        answer(other, code(1))
        assert is_in(other)

    def test_nor_does_an_older_one_after_it(self, app):
        answer(password_given(), code())
        other = password_given()
        answer(other, code(-1))
        assert not is_in(other)

    def test_for_signing_in_or_for_confirming(self, app):
        client = password_given()
        answer(client, code())
        client.post("/accounts/2fa/reauthenticate/", {"code": code()})
        assert client.get("/accounts/2fa/totp/deactivate/").status_code == 302
        client.post("/accounts/2fa/reauthenticate/", {"code": code(1)})
        assert client.get("/accounts/2fa/totp/deactivate/").status_code == 200

    def test_the_one_that_set_the_app_up_too(self, ada, django_capture_on_commit_callbacks):
        client = confirmed(password_given())
        client.get("/accounts/2fa/totp/activate/")
        secret = client.session["mfa.totp.secret"]
        with django_capture_on_commit_callbacks(execute=True):
            client.post("/accounts/2fa/totp/activate/", {"code": code(secret=secret)})
        other = password_given()
        answer(other, code(secret=secret))
        assert not is_in(other)


class TestGuessing:
    def test_ends_after_ten_wrong_codes_in_an_hour(self, app, clock):
        client = password_given()
        for _ in range(10):
            answer(client, "000000")
            clock.shift(30)
        assert "Too many wrong codes" in answer(client, code(10)).content.decode()
        assert not is_in(client)
        clock.shift(3600)
        client = password_given()
        answer(client, code(130))
        assert is_in(client)

    def test_a_right_code_forgives_the_wrong_ones(self, app, clock):
        for turn in range(3):
            client = password_given()
            for _ in range(6):
                answer(client, "000000")
            answer(client, code(turn * 2))
            assert is_in(client)
            clock.shift(60)


class TestRecoveryCodes:
    def test_each_opens_once(self, recovery_codes):
        client = password_given()
        answer(client, recovery_codes[3])
        assert is_in(client)
        other = password_given()
        answer(other, recovery_codes[3])
        assert not is_in(other)
        answer(other, recovery_codes[4])
        assert is_in(other)

    def test_a_used_one_is_gone_from_the_page_and_the_file(self, recovery_codes):
        client = password_given()
        answer(client, recovery_codes[0])
        confirmed(client)
        page = client.get("/accounts/2fa/recovery-codes/")
        file = client.get("/accounts/2fa/recovery-codes/download/")
        in_fours = [f"{text[:4]} {text[4:]}" for text in recovery_codes]
        assert in_fours[0] not in page.content.decode()
        assert all(text in page.content.decode() for text in in_fours[1:])
        assert recovery_codes[0] not in file.content.decode()
        assert recovery_codes[1] in file.content.decode()
        assert "attachment" in file.headers["Content-Disposition"]
        for response in (page, file):
            assert "no-store" in response.headers["Cache-Control"]

    def test_new_ones_end_the_old_ones(self, recovery_codes):
        client = password_given()
        answer(client, code())
        confirmed(client)
        client.post("/accounts/2fa/recovery-codes/generate/")
        other = password_given()
        answer(other, recovery_codes[0])
        assert not is_in(other)

    def test_they_come_with_the_first_factor_and_go_with_the_last(self, ada):
        client = confirmed(password_given())
        client.get("/accounts/2fa/totp/activate/")
        secret = client.session["mfa.totp.secret"]
        response = client.post("/accounts/2fa/totp/activate/", {"code": code(secret=secret)})
        assert response.headers["Location"] == "/accounts/2fa/recovery-codes/"
        assert Authenticator.objects.filter(type="recovery_codes").exists()
        client.post("/accounts/2fa/totp/deactivate/")
        assert not Authenticator.objects.exists()

    def test_they_are_nobody_elses_to_see(self, recovery_codes):
        eve = User.objects.create_user("eve@example.com", PASSWORD)
        eve.vouch_for_address()
        client = confirmed(password_given(email="eve@example.com"))
        assert client.get("/accounts/2fa/recovery-codes/").status_code == 404
        assert client.get("/accounts/2fa/recovery-codes/download/").status_code == 404


class TestSettingUp:
    def test_the_secret_is_a_picture_that_our_policy_allows_and_a_text(self, ada):
        client = confirmed(password_given())
        response = client.get("/accounts/2fa/totp/activate/")
        text = response.content.decode()
        secret = client.session["mfa.totp.secret"]
        assert 'src="data:image/svg+xml;base64,' in text
        assert "img-src 'self' data:" in response.headers["Content-Security-Policy"]
        assert " ".join(re.findall("....", secret)) in text
        assert f"secret={secret}&amp;issuer=KoalaPanel" in text
        assert " style=" not in text
        assert "no-store" in response.headers["Cache-Control"]

    def test_a_wrong_code_keeps_the_secret_that_was_scanned(self, ada):
        client = confirmed(password_given())
        client.get("/accounts/2fa/totp/activate/")
        secret = client.session["mfa.totp.secret"]
        response = client.post("/accounts/2fa/totp/activate/", {"code": "000000"})
        assert errors(response)
        assert client.session["mfa.totp.secret"] == secret
        assert not Authenticator.objects.exists()

    @pytest.mark.parametrize(
        "path",
        [
            "totp/activate/",
            "totp/deactivate/",
            "webauthn/add/",
            "recovery-codes/",
            "recovery-codes/download/",
            "recovery-codes/generate/",
        ],
    )
    def test_each_change_asks_for_the_password_or_a_code_first(self, recovery_codes, path):
        if path == "totp/activate/":
            Authenticator.objects.filter(type="totp").delete()
            Authenticator.objects.create(user=User.objects.get(), type="webauthn", data={"name": "x"})
        client = Client()
        client.force_login(User.objects.get())
        before = list(Authenticator.objects.values_list("pk", "data"))
        for response in (client.get(f"/accounts/2fa/{path}"), client.post(f"/accounts/2fa/{path}", {})):
            assert response.status_code in (302, 405)
            if response.status_code == 302:
                assert response.headers["Location"].startswith("/accounts/reauthenticate/?next=")
        assert list(Authenticator.objects.values_list("pk", "data")) == before

    def test_it_was_confirmed_for_five_minutes(self, ada, clock):
        client = confirmed(password_given())
        clock.shift(299)
        assert client.get("/accounts/2fa/totp/activate/").status_code == 200
        clock.shift(1)
        assert client.get("/accounts/2fa/totp/activate/").status_code == 302

    def test_a_letter_tells_of_it(self, ada, django_capture_on_commit_callbacks):
        from accounts.models import Letter

        client = confirmed(password_given())
        client.get("/accounts/2fa/totp/activate/")
        with django_capture_on_commit_callbacks(execute=True):
            client.post(
                "/accounts/2fa/totp/activate/", {"code": code(secret=client.session["mfa.totp.secret"])}
            )
        assert Letter.objects.filter(kind="totp_activated", recipient="ada@example.com").exists()


class TestSealed:
    def test_no_secret_lies_in_the_database_in_the_clear(self, recovery_codes):
        kept = json.dumps(list(Authenticator.objects.values_list("data", flat=True)))
        assert SECRET not in kept
        assert not any(text in kept for text in recovery_codes)

    def test_a_seal_opens_for_its_purpose_under_its_key_alone(self, settings):
        sealed = seal("a purpose", "a text")
        assert unseal("a purpose", sealed) == "a text"
        with pytest.raises(BrokenSeal):
            unseal("another purpose", sealed)
        settings.SECRET_KEY = "another"
        with pytest.raises(BrokenSeal):
            unseal("a purpose", sealed)

    def test_under_another_secret_key_no_code_is_right_and_the_page_says_why(self, recovery_codes, settings):
        settings.SECRET_KEY = "another"
        client = password_given()
        for text in (code(), recovery_codes[0], "000000"):
            assert "new secret key" in answer(client, text).content.decode()
        assert not is_in(client)


class TestSecurityKeysBadInput:
    """What no security key sends. That real ones work is seen in a browser."""

    @pytest.fixture
    def client(self, ada):
        return confirmed(password_given())

    @pytest.mark.parametrize(
        "credential",
        ["", "{}", "[]", "null", "1", '"x"', "{", '{"id": "x"}', '{"response": {}}', "[[[[", "x" * 30_000]
        + [
            json.dumps(
                {
                    "id": "YQ",
                    "rawId": "YQ",
                    "type": "public-key",
                    "response": {"clientDataJSON": data, **more},
                }
            )
            for data in ("", "e30", "!!", 1, None)
            for more in ({}, {"attestationObject": "oA"}, {"authenticatorData": "YQ", "signature": "YQ"})
        ],
    )
    def test_is_refused_with_words(self, client, ada, credential):
        client.get("/accounts/2fa/webauthn/add/")
        response = client.post("/accounts/2fa/webauthn/add/", {"name": "x", "credential": credential})
        assert response.status_code == 200
        assert "is-invalid" in response.content.decode() or "alert-danger" in response.content.decode()
        for path in ("reauthenticate/", "webauthn/reauthenticate/"):
            assert client.post(f"/accounts/2fa/{path}", {"credential": credential}).status_code in (200, 302)
        assert not Authenticator.objects.exists()

    def test_at_the_sign_in_as_well(self, app):
        client = password_given()
        for credential in ("", "{}", '{"id": 1}', "null"):
            response = client.post("/accounts/2fa/authenticate/", {"credential": credential})
            assert response.status_code == 200
        assert not is_in(client)

    def test_a_name_has_an_end(self, client, ada):
        key = Authenticator.objects.create(user=ada, type="webauthn", data={"name": "blue", "credential": {}})
        for name in ("", "x" * 101, "x" * 10_000, "a\x00"):
            response = client.post(f"/accounts/2fa/webauthn/keys/{key.pk}/edit/", {"name": name})
            assert errors(response)
        client.post(f"/accounts/2fa/webauthn/keys/{key.pk}/edit/", {"name": "red"})
        key.refresh_from_db()
        assert key.data["name"] == "red"

    def test_the_key_of_somebody_else_is_not_there(self, client):
        eve = User.objects.create_user("eve@example.com", PASSWORD)
        key = Authenticator.objects.create(user=eve, type="webauthn", data={"name": "e", "credential": {}})
        for path in ("edit/", "remove/"):
            assert client.get(f"/accounts/2fa/webauthn/keys/{key.pk}/{path}").status_code == 404
            assert client.post(f"/accounts/2fa/webauthn/keys/{key.pk}/{path}").status_code == 404
        assert Authenticator.objects.filter(pk=key.pk).exists()

    def test_no_answer_that_was_given_to_another_site_is_ever_taken(self, settings):
        assert not getattr(settings, "MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN", False)


class TestStaff:
    @pytest.fixture
    def sam(self, clock, settings):
        settings.REQUIRE_STAFF_MFA = True
        sam = User.objects.create_superuser("sam@example.com", PASSWORD)
        return sam

    @pytest.fixture
    def client(self, sam):
        return password_given(email="sam@example.com")

    def set_up(self, client):
        confirmed(client)
        client.get("/accounts/2fa/totp/activate/")
        secret = client.session["mfa.totp.secret"]
        return client.post("/accounts/2fa/totp/activate/", {"code": code(secret=secret)})

    def test_without_a_second_factor_reach_nothing_but_its_pages_and_the_way_out(self, client):
        """Every address of the site that has a name and no parts to fill in."""
        open_to_them = set()
        for name in sorted(set(names_of(get_resolver()))):
            try:
                address = reverse(name)
            except NoReverseMatch:  # it stands below one with parts
                continue
            response = client.get(address)
            if response.headers.get("Location") != "/accounts/2fa/" and not is_api_path(address):
                open_to_them.add(name)
        assert open_to_them <= OPEN
        assert "mfa_activate_totp" in open_to_them

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("get", "/"),
            ("get", "/admin/"),
            ("get", "/admin/accounts/user/"),
            ("post", "/account/delete/"),
            ("post", "/account/profile/"),
            ("get", "/account/"),
            ("get", "/keys/"),
            ("get", "/identity/o/authorize?client_id=x&response_type=code"),
        ],
    )
    def test_are_led_to_setting_one_up_from_anywhere(self, client, method, path):
        response = getattr(client, method)(path)
        assert (response.status_code, response.headers["Location"]) == (302, "/accounts/2fa/")

    def test_are_told_why(self, client):
        text = client.get("/admin/", follow=True).content.decode()
        assert "Accounts of the staff must have one here." in text
        assert 'aria-label="Main"' not in text

    def test_land_where_they_wanted_when_it_is_set_up(self, client):
        client.get("/admin/accounts/user/?q=ada")
        assert self.set_up(client).headers["Location"] == "/accounts/2fa/recovery-codes/"
        text = client.get("/accounts/2fa/recovery-codes/").content.decode()
        assert 'href="/admin/accounts/user/?q=ada"' in text
        assert client.get("/admin/accounts/user/?q=ada").status_code == 200
        assert "go on" not in client.get("/accounts/2fa/recovery-codes/").content.decode()

    def test_are_led_nowhere_else_by_a_doubled_slash(self, client):
        client.get("//evil.example/")
        assert not client.session.get("staff_mfa_wanted", "").startswith("//")

    def test_a_fragment_that_a_page_fetches_leads_the_whole_page_there(self, client):
        response = client.get("/usage/live/", headers={"HX-Request": "true"})
        assert response.headers["HX-Redirect"] == "/accounts/2fa/"

    def test_can_sign_out(self, client):
        client.post("/accounts/logout/")
        assert client.get("/admin/").headers["Location"].startswith("/admin/login/")

    def test_may_ask_the_api_by_key(self, client, sam):
        assert client.get("/api/v1/conversions").status_code == 200

    def test_keep_the_last_one(self, client, sam):
        self.set_up(client)
        response = client.post("/accounts/2fa/totp/deactivate/")
        assert "Accounts of the staff must have a second factor" in response.content.decode()
        assert Authenticator.objects.filter(user=sam, type="totp").exists()

    def test_keep_the_last_security_key_too(self, client, sam):
        key = Authenticator.objects.create(user=sam, type="webauthn", data={"name": "blue", "credential": {}})
        confirmed(client)
        for method in (client.get, client.post):
            response = method(f"/accounts/2fa/webauthn/keys/{key.pk}/remove/")
            assert response.headers["Location"] == "/accounts/2fa/"
        assert Authenticator.objects.filter(pk=key.pk).exists()

    def test_may_remove_one_of_two(self, client, sam):
        self.set_up(client)
        key = Authenticator.objects.create(user=sam, type="webauthn", data={"name": "blue", "credential": {}})
        client.post(f"/accounts/2fa/webauthn/keys/{key.pk}/remove/")
        assert not Authenticator.objects.filter(pk=key.pk).exists()

    def test_recovery_codes_are_no_second_factor(self, client, sam):
        RecoveryCodes.activate(sam)
        assert client.get("/admin/").headers["Location"] == "/accounts/2fa/"

    def test_customers_are_not_concerned(self, ada, sam):
        assert is_in(password_given())

    def test_nobody_is_where_it_is_not_asked_for(self, client, settings):
        settings.REQUIRE_STAFF_MFA = False
        assert client.get("/admin/").status_code == 200

    def test_who_becomes_staff_meets_it_at_the_next_request(self, ada, sam):
        client = password_given()
        assert is_in(client)
        User.objects.filter(pk=ada.pk).update(is_staff=True)
        assert not is_in(client)


def names_of(resolver, prefix=""):
    for pattern in resolver.url_patterns:
        if hasattr(pattern, "url_patterns"):
            yield from names_of(pattern, f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix)
        elif pattern.name and not pattern.pattern.converters and not pattern.pattern.regex.groups:
            yield prefix + pattern.name
