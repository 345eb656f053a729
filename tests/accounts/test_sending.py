"""Mail that is owed is sent by the worker, once, and never lost: whatever the mail server does."""

import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import time_machine
from django.core.mail import get_connection
from django.db import connection
from django.utils import timezone

from accounts.mail import pauses, sending
from accounts.mail.letters import OUTBOX, owe_letter
from accounts.mail.sending import send_what_is_due
from accounts.models import Letter
from accounts.sealing import seal
from tests.mail_server import broken_server

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock():
    """Stands still until it is moved."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def mail_server(clock, mail_server):
    return mail_server


def owed(name="olivia"):
    return owe_letter("a_test", f"{name}@example.com", "Hello", "Here is what you asked for.")


def say(client, *lines):
    """To a client of SMTP: a line, and after each of its commands the next."""
    for line in lines:
        client.sendall(line + b"\r\n")
        client.recv(1000)


class TestSending:
    def test_an_email_arrives_once(self, mail_server):
        letter = owed()
        assert send_what_is_due() == 1
        assert send_what_is_due() == 0
        assert len(mail_server.received) == 1
        letter.refresh_from_db()
        assert (letter.sent_at, letter.attempts, letter.error) == (NOW, 1, "")

    def test_several_share_a_connection(self, mail_server):
        for _ in range(3):
            owed()
        assert send_what_is_due() == 3
        assert mail_server.connections == 1

    def test_nothing_is_asked_of_the_mail_server_while_nothing_is_owed(self, mail_server):
        assert send_what_is_due() == 0
        assert mail_server.connections == 0

    def test_what_is_owed_while_it_sends_is_sent_too(self, mail_server, monkeypatch):
        deliver = sending._deliver

        def deliver_and_owe(message, connection):
            deliver(message, connection)
            if message.to == ["olivia@example.com"]:
                owed("anna")

        monkeypatch.setattr(sending, "_deliver", deliver_and_owe)
        owed()
        assert send_what_is_due() == 2
        assert mail_server.connections == 1

    def test_a_second_worker_leaves_the_server_to_the_first(self, mail_server):
        owed()
        with pauses.one_at_a_time(60):
            assert send_what_is_due() == 0
        assert send_what_is_due() == 1

    @pytest.mark.django_db(transaction=True)
    def test_two_senders_at_once_send_each_email_once(self, mail_server):
        for _ in range(20):
            owed()
        # Both read what is due before either sends; neither knows of the other's turn.
        lists = [[(OUTBOX, letter) for letter in Letter.objects.due(NOW)] for _ in range(2)]
        start, sent = threading.Barrier(2), []

        def run(due):
            start.wait()
            try:
                sent.append(sending._send_all(due))
            finally:
                connection.close()

        threads = [threading.Thread(target=run, args=(due,)) for due in lists]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(sent) == 20
        assert len({email["Message-ID"] for email in mail_server.received}) == len(mail_server.received) == 20

    def test_after_a_crash_it_is_sent_again_as_the_same_email(self, mail_server, clock, monkeypatch):
        owed()
        with monkeypatch.context() as crash:
            crash.setattr(Letter, "book_as_sent", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                send_what_is_due()
        clock.shift(sending.CLAIM - timedelta(seconds=1))
        assert send_what_is_due() == 0
        clock.shift(timedelta(seconds=2))
        assert send_what_is_due() == 1
        first, second = mail_server.received
        assert first["Message-ID"] == second["Message-ID"]


class TestWhenTheMailServerFails:
    def test_nothing_is_lost_while_it_is_down(self, mail_server, clock):
        mail_server.stop()
        for _ in range(3):
            owed()
        for _ in range(100):
            assert send_what_is_due() == 0
            clock.shift(timedelta(minutes=7))
            owed()
        assert "refused" in Letter.objects.earliest("id").error
        mail_server.start()
        clock.shift(pauses.LONGEST)
        assert send_what_is_due() == 103
        assert not Letter.objects.filter(sent_at=None).exists()
        assert not Letter.objects.exclude(error="").exists()

    def test_it_is_asked_less_and_less_often_and_then_once_an_hour(self, mail_server, settings, clock):
        asked = []
        with broken_server(lambda c: asked.append(timezone.now())) as settings.EMAIL_PORT:
            for second in range(0, 6 * 3600, 5):
                clock.move_to(NOW + timedelta(seconds=second))
                if second % 600 == 0:
                    owed()
                send_what_is_due()
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(asked)]
        assert 5 <= gaps[0] <= 15
        assert all(later > earlier for earlier, later in pairwise(gaps[:8]))
        assert 2800 <= gaps[-1] <= 3605
        assert len(asked) < 20

    def test_one_that_failed_again_after_it_was_back_is_soon_asked_again(self, mail_server, clock):
        mail_server.stop()
        owed()
        for _ in range(5):
            send_what_is_due()
            clock.shift(pauses.LONGEST)
        mail_server.start()
        assert send_what_is_due() == 1
        mail_server.stop()
        owed()
        assert send_what_is_due() == 0
        mail_server.start()
        clock.shift(timedelta(seconds=10))
        assert send_what_is_due() == 1

    def test_all_that_waited_go_out_as_soon_as_it_is_back(self, mail_server, clock):
        mail_server.stop()
        owed()
        owed()
        send_what_is_due()
        mail_server.start()
        clock.shift(timedelta(seconds=10))
        assert send_what_is_due() == 2

    @pytest.mark.parametrize(
        "behaviour",
        [
            pytest.param(lambda c: c.recv(1), id="silence"),
            pytest.param(lambda c: c.sendall(b"\x00\xff\xfe garbage\r\n" * 50), id="garbage"),
            pytest.param(lambda c: c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), id="another protocol"),
            pytest.param(lambda c: c.sendall(b"2" * 100_000), id="a line without an end"),
            pytest.param(lambda c: None, id="hangs up"),
            pytest.param(lambda c: c.sendall(b"554 no service\r\n"), id="554"),
            pytest.param(lambda c: c.sendall(b"421 too busy\r\n"), id="421"),
            pytest.param(
                lambda c: (c.sendall(b"220 hello\r\n"), c.recv(99)), id="hangs up after the greeting"
            ),
            pytest.param(lambda c: c.sendall(b"554 \x00\x07\x1b[31m no\r\n"), id="control characters"),
            pytest.param(
                lambda c: (say(c, b"220 hello", b"250 me", b"250 ok"), c.recv(99), c.recv(99)),
                id="silence in the middle",
            ),
            pytest.param(
                lambda c: say(c, b"220 hello", b"250 me", b"250 ok", b"\x00 what?"),
                id="garbage in the middle",
            ),
        ],
    )
    def test_one_that_is_out_of_order_delays_and_loses_nothing(self, mail_server, settings, clock, behaviour):
        letters = [owed(), owed()]
        with broken_server(behaviour) as settings.EMAIL_PORT:
            settings.EMAIL_TIMEOUT = 0.2
            started = time.perf_counter()
            assert send_what_is_due() == 0
            assert time.perf_counter() - started < 2
        for letter in letters:
            letter.refresh_from_db()
            assert letter.sent_at is None
            assert letter.error.startswith("the mail server can't be used: ") or "answered" in letter.error
            assert letter.error.isprintable()
        # It failed at one email at most, and wasn't asked to take the other.
        assert sum(letter.attempts for letter in letters) <= 1
        settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = mail_server.port, 5
        clock.shift(timedelta(seconds=10))
        assert send_what_is_due() == 2

    def test_an_email_that_the_server_cant_bear_lets_the_others_through(self, mail_server, clock):
        mail_server.answers["anna@example.com"] = "421 I hang up"
        owed("anna")
        owed("ben")
        assert send_what_is_due() == 0
        clock.shift(timedelta(seconds=10))
        send_what_is_due()
        assert mail_server.recipients == ["ben@example.com"]


class TestWhenOneEmailIsRefused:
    @pytest.mark.parametrize(
        ("answer", "least", "most"),
        [("450 mailbox busy", 8, 10), ("550 no such user", 3600, 3600)],
    )
    def test_it_waits_with_its_error_and_the_others_go_out(self, mail_server, answer, least, most):
        letters = {name: owed(name) for name in ("anna", "ben", "carla")}
        mail_server.answers["anna@example.com"] = answer
        assert send_what_is_due() == 2
        assert mail_server.recipients == ["ben@example.com", "carla@example.com"]
        letters["anna"].refresh_from_db()
        assert letters["anna"].error == f"the mail server answered {answer}"
        assert least <= (letters["anna"].due_at - NOW).total_seconds() <= most

    @pytest.mark.parametrize("answer", ["452 disk full", "554 looks like spam"])
    def test_a_message_that_is_refused_waits_too(self, mail_server, clock, answer):
        letter = owed()
        mail_server.answers[""] = answer
        assert send_what_is_due() == 0
        letter.refresh_from_db()
        assert letter.error == f"the mail server answered {answer}"
        mail_server.answers.clear()
        clock.shift(timedelta(hours=1))
        assert send_what_is_due() == 1

    def test_one_that_cant_be_made_doesnt_keep_the_others(self, mail_server):
        broken = owed()
        broken.sealed = seal("letters", "[]")
        broken.save()
        owed()
        assert send_what_is_due() == 1
        broken.refresh_from_db()
        assert "can't be made" in broken.error

    def test_one_to_an_impossible_address_doesnt_keep_the_others(self, mail_server):
        owed("anna@example.com\nBcc: eve")
        owed()
        assert send_what_is_due() == 1
        assert mail_server.recipients == ["olivia@example.com"]


def test_a_mail_server_isnt_asked_for_longer_than_the_timeout(settings):
    assert settings.EMAIL_TIMEOUT == 10
    assert get_connection("django.core.mail.backends.smtp.EmailBackend").timeout == 10
