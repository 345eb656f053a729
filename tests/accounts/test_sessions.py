"""The sessions of an account: which there are, whose they are, and how they end."""

from datetime import timedelta

import pytest
import time_machine
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts.account import last_seen
from accounts.account.devices import device_of
from accounts.account.sessions import number_of_sign_ins, sign_ins
from accounts.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

PASSWORD = "eucalyptus leaf nine"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.0 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def ada():
    ada = User.objects.create_user("ada@example.com", PASSWORD)
    ada.vouch_for_address()
    return ada


def signed_in(user_agent=FIREFOX, address="192.0.2.1", email="ada@example.com", **headers):
    client = Client(HTTP_USER_AGENT=user_agent, REMOTE_ADDR=address, **headers)
    response = client.post("/accounts/login/", {"login": email, "password": PASSWORD})
    assert response.status_code == 302
    return client


def is_signed_in(client):
    return client.get("/account/").status_code == 200


def listed(client):
    return client.get("/account/sessions/").context["sign_ins"]


def test_each_is_listed_in_words_and_this_one_comes_first(ada):
    laptop = signed_in()
    signed_in(IPHONE, "2001:db8::7")
    here, there = listed(laptop)
    assert (here.is_this, here.device.name, here.address) == (True, "Firefox on Windows", "192.0.2.1")
    assert (there.is_this, there.device.name, there.address) == (False, "Safari on iPhone", "2001:db8::7")
    assert there.device.is_handheld
    assert "signed in at two places" in laptop.get("/account/").content.decode()


def test_alone_it_says_so_and_what_would_show_up(ada):
    text = signed_in().get("/account/sessions/").content.decode()
    assert "You are signed in nowhere else." in text
    assert "Sign out everywhere else" not in text


def test_one_that_is_signed_out_there_feels_it_at_its_next_request(ada):
    laptop, phone = signed_in(), signed_in(IPHONE)
    assert is_signed_in(phone)
    (other,) = [each for each in listed(laptop) if not each.is_this]
    response = laptop.post(f"/account/sessions/{other.id}/end/", follow=True)
    assert "Signed out there." in response.content.decode()
    assert not is_signed_in(phone)
    assert is_signed_in(laptop)
    assert len(listed(laptop)) == 1


def test_everywhere_else_leaves_this_one(ada):
    laptop, *others = [signed_in() for _ in range(4)]
    laptop.post("/account/sessions/end-others/")
    assert is_signed_in(laptop)
    assert [is_signed_in(other) for other in others] == [False] * 3
    assert (Session.objects.count(), UserSession.objects.count()) == (1, 1)


def test_ending_this_one_is_signing_out_which_is_asked_for(ada):
    laptop = signed_in()
    response = laptop.post(f"/account/sessions/{listed(laptop)[0].id}/end/")
    assert response.headers["Location"] == "/accounts/logout/"


def test_nobody_ends_the_session_of_somebody_else(ada):
    eve = User.objects.create_user("eve@example.com", PASSWORD)
    eve.vouch_for_address()
    laptop, evil = signed_in(), signed_in(email="eve@example.com")
    (mine,) = listed(laptop)
    assert evil.post(f"/account/sessions/{mine.id}/end/").status_code == 404
    assert evil.post("/account/sessions/99999999999999999999/end/").status_code == 404
    assert is_signed_in(laptop)
    evil.post("/account/sessions/end-others/")
    assert is_signed_in(laptop)


def test_it_takes_a_post(ada):
    laptop, phone = signed_in(), signed_in(IPHONE)
    for path in ("end-others/", f"{UserSession.objects.last().pk}/end/"):
        assert laptop.get(f"/account/sessions/{path}").status_code == 405
    assert is_signed_in(phone)


def test_a_changed_password_leaves_no_other_one_and_none_is_listed(ada):
    laptop, phone = signed_in(), signed_in(IPHONE)
    changed = {"oldpassword": PASSWORD, "password1": "another leaf 9", "password2": "another leaf 9"}
    laptop.post("/accounts/password/change/", changed)
    assert is_signed_in(laptop)
    assert len(listed(laptop)) == 1
    assert not is_signed_in(phone)


def test_what_is_over_is_not_listed(ada):
    laptop = signed_in()
    phone = signed_in(IPHONE)
    Session.objects.filter(pk=phone.session.session_key).update(expire_date=timezone.now())
    assert [each.is_this for each in listed(laptop)] == [True]
    assert number_of_sign_ins(ada) == 1


def test_the_list_costs_as_much_for_many_as_for_one(ada, django_assert_num_queries):
    laptop = signed_in()
    for _ in range(5):
        signed_in()
    with django_assert_num_queries(2):
        assert len(sign_ins(ada, laptop.session.session_key)) == 6


class TestTheAddress:
    def test_is_not_what_a_client_says_of_itself(self, ada):
        laptop = signed_in(HTTP_X_FORWARDED_FOR="203.0.113.9")
        assert listed(laptop)[0].address == "192.0.2.1"

    def test_is_what_a_trusted_proxy_says(self, ada, settings):
        from ipaddress import ip_network

        settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]
        laptop = signed_in(address="10.0.0.1", HTTP_X_FORWARDED_FOR="1.2.3.4, 203.0.113.9")
        assert listed(laptop)[0].address == "203.0.113.9"

    def test_moves_with_the_session_at_once(self, ada):
        laptop = signed_in()
        laptop.get("/", REMOTE_ADDR="198.51.100.4", HTTP_USER_AGENT=IPHONE)
        session = UserSession.objects.get()
        assert (session.ip, session.user_agent) == ("198.51.100.4", IPHONE)


class TestLastSeen:
    @pytest.fixture(autouse=True)
    def _steady(self, monkeypatch):
        """The memory of a process looks at a clock that time_machine moves."""
        monkeypatch.setattr(last_seen.time, "monotonic", lambda: timezone.now().timestamp())

    def test_is_written_once_in_five_minutes_however_many_requests_come(self, ada, monkeypatch):
        written = []
        write = last_seen.write
        monkeypatch.setattr(last_seen, "write", lambda *args: written.append(args) or write(*args))
        with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
            laptop = signed_in()
            for _ in range(10):
                laptop.get("/account/")
            assert len(written) == 1
            clock.shift(299)
            laptop.get("/account/")
            assert len(written) == 1
            clock.shift(1)
            laptop.get("/account/")
            assert len(written) == 2
            assert UserSession.objects.get().last_seen_at == timezone.now()

    def test_is_not_written_again_by_a_process_that_another_one_was_faster_than(self, ada):
        with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
            laptop = signed_in()
            seen = UserSession.objects.get().last_seen_at
            clock.shift(200)
            laptop.handler._middleware_chain = None  # a process that has just begun
            laptop.get("/account/")
            assert UserSession.objects.get().last_seen_at == seen
            clock.shift(100)
            laptop.get("/account/")
            assert UserSession.objects.get().last_seen_at == timezone.now()

    def test_a_session_that_was_never_noted_is_noted(self, ada, client):
        client.force_login(ada)
        client.get("/account/")
        assert UserSession.objects.get().session_key == client.session.session_key

    def test_a_process_keeps_as_many_as_it_may(self, monkeypatch):
        monkeypatch.setattr(last_seen, "SESSIONS_KEPT", 3)
        middleware = last_seen.LastSeenMiddleware(lambda request: None)
        for name in "abcd":
            middleware._remember(name, (0.0, "192.0.2.1", ""))
        assert list(middleware._written) == ["b", "c", "d"]

    def test_strangers_and_the_api_are_not_looked_up(self, ada, django_assert_num_queries):
        with django_assert_num_queries(0):
            Client().get("/accounts/login/")
        laptop = signed_in()
        UserSession.objects.update(last_seen_at=timezone.now() - timedelta(days=1))
        laptop.get("/api/v1/conversions", REMOTE_ADDR="198.51.100.4")
        assert UserSession.objects.get().last_seen_at < timezone.now() - timedelta(hours=1)


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (FIREFOX, "Firefox on Windows"),
        (IPHONE, "Safari on iPhone"),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36",
            "Chrome on Linux",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit Chrome/140 Safari/537 OPR/120",
            "Opera on macOS",
        ),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) AppleWebKit CriOS/140.0 Safari", "Chrome on iPhone"),
        ("curl/8.14.1", "curl"),
        ("", "Unknown browser"),
        ("\x00<script>", "Unknown browser"),
    ],
)
def test_a_user_agent_in_words(user_agent, name):
    assert device_of(user_agent).name == name
