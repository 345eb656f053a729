"""A service signs a person in: what it is told, and what becomes of codes and tokens."""

import threading
from datetime import UTC, datetime, timedelta

import jwt
import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.idp.oidc.models import Client as Service
from allauth.idp.oidc.models import Token
from django.core.cache import cache
from django.db import connection
from django_redis import get_redis_connection

from accounts.identity import client_secrets
from tests.accounts.identity.conftest import redirected, register, sent_back, used_by
from usage.books.retention import forget_what_is_old

ISSUER = "http://127.0.0.1:8000"


def id_token_of(caller, tokens):
    """Its claims, verified as a service does, with the keys that are published."""
    keys = jwt.PyJWKSet.from_dict(caller.wire.get("/.well-known/jwks.json").json())
    kid = jwt.get_unverified_header(tokens["id_token"])["kid"]
    return jwt.decode(
        tokens["id_token"],
        key=next(key for key in keys.keys if key.key_id == kid),
        algorithms=["RS256"],
        audience=caller.service.pk,
        issuer=ISSUER,
    )


def test_a_service_learns_what_the_person_agreed_to_and_nothing_else(treehouse, ada):
    tokens = treehouse.tokens()
    claims = id_token_of(treehouse, tokens)
    assert treehouse.userinfo(tokens["access_token"]).json() == {
        "sub": str(ada.pk),
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "email_verified": True,
    }
    assert claims["sub"] == str(ada.pk)
    assert claims["nonce"] == "n0nce"
    assert claims["exp"] - claims["iat"] == 300
    tokens = treehouse.tokens(scope="openid")
    assert treehouse.userinfo(tokens["access_token"]).json() == {"sub": str(ada.pk)}
    assert "email" not in id_token_of(treehouse, tokens)


def test_the_page_says_who_asks_and_what_it_will_learn(treehouse):
    page = treehouse.ask().content.decode()
    assert "Sign in to Treehouse?" in page
    assert "You are signed in as <strong>ada@example.com</strong>" in page
    assert "Your email address" in page
    assert "<strong>tree.example</strong>" in page
    assert "Your email address" not in treehouse.ask(scope="openid").content.decode()


def test_an_address_that_was_never_verified_is_not_told(treehouse, ada):
    EmailAddress.objects.update(verified=False)
    told = treehouse.userinfo(treehouse.tokens()["access_token"]).json()
    assert told == {"sub": str(ada.pk), "name": "Ada Lovelace"}


def test_whoever_has_several_addresses_chooses_one_and_it_stays_the_one(treehouse, ada):
    EmailAddress.objects.create(user=ada, email="lovelace@example.com", verified=True)
    EmailAddress.objects.create(user=ada, email="new@example.com", verified=False)
    page = treehouse.ask()
    assert "new@example.com" not in page.content.decode()
    code = sent_back(treehouse.answer(page, email="lovelace@example.com"))["code"]
    tokens = treehouse.redeem(code).json()
    tokens = treehouse.refresh(tokens["refresh_token"]).json()
    assert treehouse.userinfo(tokens["access_token"]).json()["email"] == "lovelace@example.com"
    assert id_token_of(treehouse, tokens)["email"] == "lovelace@example.com"
    EmailAddress.objects.filter(email="lovelace@example.com").delete()
    assert "email" not in treehouse.userinfo(tokens["access_token"]).json()


def test_an_address_that_is_not_the_persons_own_cannot_be_chosen(treehouse, ada):
    EmailAddress.objects.create(user=ada, email="lovelace@example.com", verified=True)
    page = treehouse.answer(treehouse.ask(), email="boss@example.com")
    assert "Select a valid choice" in page.content.decode()
    assert "http-equiv" not in page.content.decode()


def test_denying_sends_back_a_denial_with_the_state_and_the_issuer(treehouse):
    told = sent_back(treehouse.answer(treehouse.ask(), action="deny"))
    assert told == {"error": "access_denied", "state": "st4te", "iss": ISSUER}


def test_the_code_comes_with_the_state_and_the_issuer(treehouse):
    told = sent_back(treehouse.answer(treehouse.ask()))
    assert (told["state"], told["iss"]) == ("st4te", ISSUER)
    assert "state" not in sent_back(treehouse.answer(treehouse.ask(state=None)))


def test_a_request_without_a_nonce_gets_an_id_token_without_one(treehouse):
    assert "nonce" not in id_token_of(treehouse, treehouse.tokens(nonce=None))


def test_a_service_of_our_own_asks_nobody(treehouse):
    Service.objects.update(skip_consent=True)
    assert "code" in sent_back(treehouse.ask())
    assert "Sign in to Treehouse?" in treehouse.ask(prompt="consent").content.decode()


def test_a_program_on_the_persons_machine_may_listen_on_any_port(app):
    at = "http://127.0.0.1:50123/callback"
    code = sent_back(app.answer(app.ask(redirect_uri=at)), at)["code"]
    assert app.redeem(code, redirect_uri=at).status_code == 200


def test_tokens_are_no_ones_to_keep(treehouse):
    answer = treehouse.redeem(treehouse.code())
    assert answer["Cache-Control"] == "no-store"
    assert treehouse.userinfo(answer.json()["access_token"])["Cache-Control"] == "no-store"
    assert treehouse.redeem("wrong")["Cache-Control"] == "no-store"
    assert treehouse.userinfo("wrong")["Cache-Control"] == "no-store"
    assert "no-store" in treehouse.ask()["Cache-Control"]


def test_neither_codes_nor_tokens_nor_secrets_are_kept_in_the_clear(treehouse):
    code = treehouse.code()
    kept = "".join(
        key.decode() + get_redis_connection().get(key).decode(errors="replace")
        for key in get_redis_connection().scan_iter("*authorization_code*")
    )
    assert "authorization_code" in kept
    assert code not in kept
    tokens = treehouse.redeem(code).json()
    rows = str(list(Token.objects.values())) + str(list(Service.objects.values()))
    for text in (code, tokens["access_token"], tokens["refresh_token"], treehouse.secret):
        assert text not in rows


# --- Codes -------------------------------------------------------------------------------------------------


def test_a_code_that_comes_twice_takes_back_what_it_gave(treehouse):
    code = treehouse.code()
    tokens = treehouse.redeem(code).json()
    other = treehouse.tokens()
    again = treehouse.redeem(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert treehouse.userinfo(tokens["access_token"]).status_code == 401
    assert treehouse.refresh(tokens["refresh_token"]).status_code == 400
    assert treehouse.userinfo(other["access_token"]).status_code == 200


def test_a_code_that_comes_twice_takes_back_what_its_refresh_tokens_gave(treehouse):
    code = treehouse.code()
    tokens = treehouse.refresh(treehouse.redeem(code).json()["refresh_token"]).json()
    treehouse.redeem(code)
    assert treehouse.userinfo(tokens["access_token"]).status_code == 401


def test_of_two_requests_with_one_code_at_once_neither_keeps_what_it_gave(treehouse):
    code = treehouse.code()
    key = next(get_redis_connection().scan_iter("*authorization_code*"))
    kept = get_redis_connection().get(key)
    tokens = treehouse.redeem(code).json()
    get_redis_connection().set(key, kept)  # as the second has read it before the first was done
    again = treehouse.redeem(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert treehouse.userinfo(tokens["access_token"]).status_code == 401


def test_a_code_is_good_for_a_minute(treehouse):
    treehouse.code()
    key = next(get_redis_connection().scan_iter("*authorization_code*"))
    assert 50 < get_redis_connection().ttl(key) <= 60
    code = treehouse.code()
    cache.clear()  # as when that minute is over
    assert treehouse.redeem(code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "v" * 43}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"redirect_uri": "https://tree.example/other"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"code": "wrong"}, "invalid_grant"),
        ({"code": "\x00"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        (
            {"grant_type": "password", "username": "ada@example.com", "password": "x"},
            "unsupported_grant_type",
        ),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}, "unsupported_grant_type"),
        ({"grant_type": "openid"}, "unauthorized_client"),
    ],
)
def test_a_code_is_redeemed_as_it_was_asked_for_or_not_at_all(treehouse, changes, error):
    code = treehouse.code()
    refused = treehouse.redeem(code, **changes)
    assert (refused.status_code, refused.json()["error"]) == (400, error)
    assert not Token.objects.exists()
    assert treehouse.redeem(code).status_code == 200  # what somebody else got wrong costs the service nothing


def test_a_verifier_for_a_request_without_a_challenge_is_refused(treehouse):
    """Somebody has cut the challenge out of the service's own request."""
    code = treehouse.code(code_challenge=None, code_challenge_method=None)
    assert treehouse.redeem(code).json()["error"] == "invalid_grant"
    assert treehouse.redeem(code, code_verifier=None).status_code == 200


def test_a_code_is_worth_nothing_to_another_service(treehouse, ada):
    thief = used_by(ada, *register("Magpie"))
    thief.verifier = treehouse.verifier
    code = treehouse.code()
    assert thief.redeem(code).json()["error"] == "invalid_grant"
    assert treehouse.redeem(code).status_code == 200


def test_a_service_cannot_speak_for_another(treehouse, ada):
    victim = used_by(ada, *register("Magpie"))
    victim.verifier = treehouse.verifier
    refused = treehouse.redeem(victim.code(), client_id=victim.service.pk)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("secret", ["wrong", "", "é", "\x00", None])
def test_without_its_secret_a_service_gets_nothing(treehouse, secret):
    code = treehouse.code()
    known, treehouse.secret = treehouse.secret, secret
    refused = treehouse.redeem(code)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    refused = treehouse.redeem(code, client_id=treehouse.service.pk, client_secret="wrong")
    assert refused.json()["error"] == "invalid_client"
    treehouse.secret = known
    assert treehouse.redeem(code).status_code == 200


def test_the_secret_may_come_in_the_form(treehouse):
    form = {"client_id": treehouse.service.pk, "client_secret": treehouse.secret}
    code = treehouse.code()
    treehouse.secret = None
    assert treehouse.redeem(code, **form).status_code == 200


def test_a_secret_needs_no_escaping_and_is_kept_as_a_digest():
    secret = client_secrets.new_secret()
    assert len(secret) >= 43
    assert secret.replace("-", "").replace("_", "").isalnum()
    assert client_secrets.matches(secret, client_secrets.digest(secret))
    assert not client_secrets.matches(secret + "x", client_secrets.digest(secret))


def test_what_comes_twice_in_a_form_is_refused(treehouse):
    asked = f"grant_type=authorization_code&code=a&code=b&client_id={treehouse.service.pk}"
    refused = treehouse.wire.post(
        "/identity/o/api/token", asked, content_type="application/x-www-form-urlencoded"
    )
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


# --- Refresh tokens ----------------------------------------------------------------------------------------


def test_a_refresh_token_is_exchanged_for_the_next_one(treehouse, ada):
    first = treehouse.tokens()
    second = treehouse.refresh(first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert treehouse.userinfo(second["access_token"]).json()["email"] == "ada@example.com"
    assert id_token_of(treehouse, second)["auth_time"] == id_token_of(treehouse, first)["auth_time"]
    assert treehouse.refresh(second["refresh_token"]).status_code == 200


def test_a_refresh_token_that_comes_twice_ends_the_whole_grant(treehouse):
    first = treehouse.tokens()
    second = treehouse.refresh(first["refresh_token"]).json()
    other = treehouse.tokens()
    assert treehouse.refresh(first["refresh_token"]).json()["error"] == "invalid_grant"
    assert treehouse.refresh(second["refresh_token"]).json()["error"] == "invalid_grant"
    assert treehouse.userinfo(second["access_token"]).status_code == 401
    assert treehouse.userinfo(other["access_token"]).status_code == 200


def test_a_service_may_ask_for_less_now_and_for_all_of_it_later(treehouse):
    tokens = treehouse.tokens()
    tokens = treehouse.refresh(tokens["refresh_token"], scope="openid").json()
    assert "email" not in treehouse.userinfo(tokens["access_token"]).json()
    tokens = treehouse.refresh(tokens["refresh_token"]).json()
    assert "email" in treehouse.userinfo(tokens["access_token"]).json()


def test_a_refresh_token_never_gives_more_than_was_agreed_to(treehouse):
    tokens = treehouse.tokens(scope="openid")
    refused = treehouse.refresh(tokens["refresh_token"], scope="openid email")
    assert refused.json()["error"] == "invalid_scope"


def test_a_service_that_may_not_stay_gets_no_refresh_token(treehouse):
    Service.objects.update(grant_types="authorization_code")
    assert "refresh_token" not in treehouse.tokens()
    assert "for an hour" in treehouse.ask().content.decode()


def test_a_refresh_token_is_worth_nothing_to_another_service(treehouse, ada):
    tokens = treehouse.tokens()
    thief = used_by(ada, *register("Magpie"))
    assert thief.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert treehouse.refresh(tokens["refresh_token"]).status_code == 200


def test_access_lasts_an_hour_and_a_refresh_token_30_days_from_its_last_use(treehouse):
    began = datetime.now(UTC)
    tokens = treehouse.tokens()
    with time_machine.travel(began + timedelta(minutes=59), tick=False):
        assert treehouse.userinfo(tokens["access_token"]).status_code == 200
    with time_machine.travel(began + timedelta(minutes=61), tick=False):
        assert treehouse.userinfo(tokens["access_token"]).status_code == 401
    with time_machine.travel(began + timedelta(days=29), tick=False):
        tokens = treehouse.refresh(tokens["refresh_token"]).json()
    with time_machine.travel(began + timedelta(days=57), tick=False):
        tokens = treehouse.refresh(tokens["refresh_token"]).json()
    with time_machine.travel(began + timedelta(days=88), tick=False):
        assert treehouse.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_tokens_that_ended_are_forgotten_with_their_codes(treehouse):
    treehouse.refresh(treehouse.tokens()["refresh_token"])
    began = datetime.now(UTC)
    forget_what_is_old(began + timedelta(minutes=61))
    assert sorted(Token.objects.values_list("type", flat=True)) == ["ac", "rt", "rt"]
    forget_what_is_old(began + timedelta(days=31))
    assert not Token.objects.exists()


# --- The end -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_the_grant(treehouse, which):
    tokens = treehouse.tokens()
    assert treehouse.revoke(tokens[which]).status_code == 200
    refused = treehouse.userinfo(tokens["access_token"])
    assert refused.status_code == 401
    assert refused["WWW-Authenticate"].startswith("Bearer error=")
    assert treehouse.refresh(tokens["refresh_token"]).status_code == 400
    assert treehouse.revoke(tokens[which]).status_code == 200  # as for a token that nobody knows


def test_a_service_revokes_its_own_tokens_alone(treehouse, ada):
    tokens = treehouse.tokens()
    other = used_by(ada, *register("Magpie"))
    other.revoke(tokens["refresh_token"])
    assert treehouse.refresh(tokens["refresh_token"]).status_code == 200


def test_revoking_takes_the_secret(treehouse):
    tokens = treehouse.tokens()
    treehouse.secret = "wrong"
    assert treehouse.revoke(tokens["access_token"]).status_code == 401
    assert treehouse.userinfo(tokens["access_token"]).status_code == 200


def test_a_disabled_account_loses_its_tokens_for_good(treehouse, ada):
    tokens, code = treehouse.tokens(), treehouse.code()
    ada.is_active = False
    ada.save()
    assert treehouse.userinfo(tokens["access_token"]).status_code == 401
    assert treehouse.redeem(code).status_code == 400
    ada.is_active = True
    ada.save()
    assert treehouse.userinfo(tokens["access_token"]).status_code == 401
    assert treehouse.refresh(tokens["refresh_token"]).status_code == 400


def test_an_account_disabled_behind_our_back_is_refused_all_the_same(treehouse, ada):
    tokens = treehouse.tokens()
    type(ada).objects.update(is_active=False)
    assert treehouse.userinfo(tokens["access_token"]).status_code == 401
    assert treehouse.refresh(tokens["refresh_token"]).status_code == 400


def test_a_deleted_account_takes_its_tokens_and_codes_along(treehouse, ada):
    tokens, code = treehouse.tokens(), treehouse.code()
    ada.delete()
    assert treehouse.userinfo(tokens["access_token"]).status_code == 401
    assert treehouse.redeem(code).json()["error"] == "invalid_grant"
    assert not Token.objects.exists()


def test_an_access_token_is_taken_from_the_header_and_not_from_the_address(treehouse):
    token = treehouse.tokens()["access_token"]
    assert treehouse.wire.get(f"/identity/o/api/userinfo?access_token={token}").status_code == 401
    assert treehouse.wire.post("/identity/o/api/userinfo", {"access_token": token}).status_code == 200
    assert treehouse.wire.get("/identity/o/api/userinfo").status_code == 401


def test_neither_an_id_token_nor_a_refresh_token_opens_userinfo(treehouse):
    tokens = treehouse.tokens()
    assert treehouse.userinfo(tokens["id_token"]).status_code == 401
    assert treehouse.userinfo(tokens["refresh_token"]).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_of_many_requests_with_one_code_at_the_same_time_one_at_most_gets_tokens(treehouse):
    code, answers = treehouse.code(), []

    def redeem():
        try:
            answers.append(treehouse.redeem(code).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=redeem) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers)[1:] == [400, 400, 400]
    given = Token.objects.filter(type__in=[Token.Type.ACCESS_TOKEN, Token.Type.REFRESH_TOKEN])
    assert not given.exists()


def test_prompt_none_signs_in_whoever_agreed_before(treehouse):
    assert redirected(treehouse.ask(prompt="none"))["error"] == "consent_required"
    treehouse.tokens()
    told = redirected(treehouse.ask(prompt="none"))
    assert treehouse.redeem(told["code"]).status_code == 200
