"""Mail that is owed: written with its cause, sent by the worker, told once, and never lost."""

import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import time_machine
from django.core.mail import get_connection
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from tests.usage.mail_server import MailServer, broken_server
from usage.escalation.reactivation import suspend
from usage.mail import pauses, sending
from usage.mail.sending import send_notices
from usage.models import EscalationStep, Notice
from usage.notices import owe
from usage.tasks import send_notices as send_notices_task

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FACTS = {
    "day_block": {
        "until": "2026-03-02T12:00:00+00:00",
        "served": 30,
        "refused": 1300,
        "minute_limit": 30,
        "strikes": 2,
    },
    "suspension": {"by_staff": False, "reason": "", "served": 30, "refused": 270, "minute_limit": 30},
    "reactivation": {"on_probation": True, "reason": "You fixed it.", "grace_seconds": 60, "escalation": 3},
    "quota_near": {
        "used": 800,
        "limit": 1000,
        "day": "2026-03-01",
        "resets_at": "2026-03-02T00:00:00+00:00",
    },
    "quota_spent": {
        "used": 1000,
        "limit": 1000,
        "day": "2026-03-01",
        "resets_at": "2026-03-02T00:00:00+00:00",
    },
}


@pytest.fixture
def clock(valkey):
    """Stands still until it is moved; the cache, where the mail server's rests are kept, is empty."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def mail_server(settings, clock):
    server = MailServer()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 5
    settings.BASE_URL = "https://panel.example.com"
    server.start()
    yield server
    server.stop()


@pytest.fixture
def key(issue):
    key, key.text = issue()
    return key


def owed(key, kind="suspension", **facts):
    """A notice of an occasion of its own."""
    owe(Notice.Kind(kind), key, f"{kind}:{Notice.objects.count()}", {**FACTS[kind], **facts})
    return Notice.objects.latest("id")


def text_of(email):
    return email.get_content().replace("\r\n", "\n")


def words_of(email):
    return " ".join(email.get_content().split())


def say(client, *lines):
    """To a client of SMTP: a line, and after each of its commands the next."""
    for line in lines:
        client.sendall(line + b"\r\n")
        client.recv(1000)


class TestOwing:
    def test_an_occasion_is_owed_once(self, key):
        for served in (1, 2):
            owe(Notice.Kind.DAY_BLOCK, key, "day_block:1", {"served": served})
        assert Notice.objects.get().facts == {"served": 1}

    @pytest.mark.django_db(transaction=True)
    def test_it_is_owed_with_its_cause_or_not_at_all(self, key):
        with transaction.atomic():
            owe(Notice.Kind.SUSPENSION, key, "suspension:1", {})
            transaction.set_rollback(True)
        assert not Notice.objects.exists()

    def test_owing_twice_leaves_the_callers_transaction_in_order(self, key):
        with transaction.atomic():
            owe(Notice.Kind.SUSPENSION, key, "suspension:1", {})
            owe(Notice.Kind.SUSPENSION, key, "suspension:1", {})
            key.name = "renamed"
            key.save()
        key.refresh_from_db()
        assert (key.name, Notice.objects.count()) == ("renamed", 1)

    def test_the_quotas_emails_can_be_switched_off_and_the_others_cant(self, key, owner):
        owner.wants_quota_emails = False
        owner.save()
        for kind in Notice.Kind:
            owe(kind, key, f"{kind}:1", {})
        left_out = set(Notice.Kind) - set(Notice.objects.values_list("kind", flat=True))
        assert left_out == {"quota_near", "quota_spent"}


class TestWhatAnEmailSays:
    @pytest.mark.parametrize(
        ("kind", "subject", "said"),
        [
            (
                "day_block",
                'API key "prod" is blocked until 2 March 2026, 12:00 UTC',
                [
                    "is blocked until 2 March 2026, 12:00 UTC",
                    "30 requests served and 1,300 refused, where 30 a minute are allowed",
                    "to make 2 strikes",
                    "2 more strikes would suspend it",
                    "Each 24 hours without a refusal",
                    "Retry-After",
                ],
            ),
            (
                "suspension",
                'API key "prod" is suspended',
                [
                    "status 403 until a person reactivates it",
                    "30 requests served and 270 refused",
                    "reply to this email to ask for the key's reactivation",
                    "Retry-After",
                ],
            ),
            (
                "reactivation",
                'API key "prod" works again',
                [
                    "You fixed it.",
                    "on probation",
                    "stands on tier 3 of 5",
                    '2 strikes (minutes with many requests over the limit) would lead to tier 4, "Day block"',
                    "first 60 seconds nothing strikes",
                ],
            ),
            (
                "quota_near",
                'API key "prod" has used 80 % of its requests of 2026-03-01',
                [
                    "has used 800 of its 1,000 requests",
                    "All are back on 2 March 2026, 00:00 UTC",
                    "switch both",
                ],
            ),
            (
                "quota_spent",
                'API key "prod" has used all of its requests of 2026-03-01',
                ["has used 1,000 of its 1,000", "refused with status 429", "Retry-After", "switch both"],
            ),
        ],
    )
    def test_its_facts_and_what_to_do(self, mail_server, key, kind, subject, said):
        owed(key, kind)
        assert send_notices() == 1
        (email,) = mail_server.received
        text = words_of(email)
        assert email["Subject"] == subject
        for words in said:
            assert words in text
        assert f'"prod" ({key.start}...)' in text
        assert f"https://panel.example.com/usage/?key={key.start}" in text
        assert "about 1 March 2026, 12:00 UTC" in text
        assert email["To"] == "olivia@example.com"
        assert email["Auto-Submitted"] == "auto-generated"
        assert email["Message-ID"].endswith("@panel.example.com>")
        assert key.text not in email.as_string()
        assert key.text[len(key.start) :] not in email.as_string()

    def test_what_staff_did_is_told_with_their_reason(self, mail_server, key):
        owed(key, "suspension", by_staff=True, reason="Resells <our> service & others.")
        owed(key, "reactivation", on_probation=False, reason="A mistake of ours.", escalation=0)
        send_notices()
        suspended, reactivated = map(text_of, mail_server.received)
        assert "the people who run this panel suspended it" in suspended
        assert "\nResells <our> service & others.\n" in suspended
        assert "Retry-After" not in suspended
        assert "It starts anew" in reactivated
        assert "\nA mistake of ours.\n" in reactivated

    def test_its_numbers_are_the_ladders_in_force(self, mail_server, key):
        EscalationStep.objects.filter(number=5).update(strikes=7)
        owed(key, "day_block")
        send_notices()
        assert "7 more strikes would suspend it" in words_of(mail_server.received[0])

    def test_a_key_without_a_minutes_limit_is_told_of_none(self, mail_server, key):
        owed(key, "day_block", minute_limit=None)
        send_notices()
        assert "1,300 refused.\n" in text_of(mail_server.received[0])

    def test_a_late_one_says_that_the_block_is_over(self, mail_server, key, clock):
        owed(key, "day_block")
        clock.shift(timedelta(days=2))
        send_notices()
        assert "was blocked until" in mail_server.received[0]["Subject"]

    def test_a_keys_odd_name_makes_no_header_of_its_own(self, mail_server, key):
        key.name = 'né\r\nBcc: eve@example.com "<b>'
        key.save()
        owed(key)
        send_notices()
        (email,) = mail_server.received
        assert email["Bcc"] is None
        assert email["Subject"].strip() == 'API key "né Bcc: eve@example.com "<b>" is suspended'


class TestSending:
    def test_an_email_arrives_once(self, mail_server, key):
        notice = owed(key)
        assert send_notices() == 1
        assert send_notices() == 0
        assert len(mail_server.received) == 1
        notice.refresh_from_db()
        assert (notice.sent_at, notice.attempts, notice.error) == (NOW, 1, "")

    def test_several_share_a_connection(self, mail_server, key):
        for _ in range(3):
            owed(key)
        assert send_notices() == 3
        assert mail_server.connections == 1

    def test_nothing_is_asked_of_the_mail_server_while_nothing_is_owed(self, mail_server):
        assert send_notices() == 0
        assert mail_server.connections == 0

    def test_beats_task_sends(self, mail_server, key):
        owed(key)
        assert send_notices_task() == 1

    def test_a_second_worker_leaves_the_server_to_the_first(self, mail_server, key):
        owed(key)
        with pauses.one_at_a_time(60):
            assert send_notices() == 0
        assert send_notices() == 1

    @pytest.mark.django_db(transaction=True)
    def test_two_senders_at_once_send_each_email_once(self, mail_server, key):
        for _ in range(20):
            owed(key)
        # Both read what is due before either sends; neither knows of the other's turn.
        lists = [list(Notice.objects.due(NOW).select_related("key__owner", "key__tier")) for _ in range(2)]
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

    def test_after_a_crash_it_is_sent_again_as_the_same_email(self, mail_server, key, clock, monkeypatch):
        owed(key)
        with monkeypatch.context() as crash:
            crash.setattr(Notice, "book_as_sent", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                send_notices()
        clock.shift(sending.CLAIM - timedelta(seconds=1))
        assert send_notices() == 0
        clock.shift(timedelta(seconds=2))
        assert send_notices() == 1
        first, second = mail_server.received
        assert first["Message-ID"] == second["Message-ID"]

    @pytest.mark.django_db(transaction=True)
    def test_what_owes_an_email_doesnt_wait_for_the_mail_server(self, mail_server, key):
        suspend(key, by=None, reason="a test")
        assert mail_server.connections == 0
        assert Notice.objects.waiting().count() == 1


class TestWhenTheMailServerFails:
    def test_nothing_is_lost_while_it_is_down(self, mail_server, key, clock):
        mail_server.stop()
        for _ in range(3):
            owed(key)
        for _ in range(100):
            assert send_notices() == 0
            clock.shift(timedelta(minutes=7))
            owed(key, "reactivation")
        assert "refused" in Notice.objects.earliest("id").error
        mail_server.start()
        clock.shift(pauses.LONGEST)
        assert send_notices() == 103
        assert not Notice.objects.filter(sent_at=None).exists()
        assert not Notice.objects.exclude(error="").exists()

    def test_it_is_asked_less_and_less_often_and_then_once_an_hour(self, mail_server, settings, key, clock):
        asked = []
        with broken_server(lambda c: asked.append(timezone.now())) as settings.EMAIL_PORT:
            for second in range(0, 6 * 3600, 5):
                clock.move_to(NOW + timedelta(seconds=second))
                if second % 600 == 0:
                    owed(key)
                send_notices()
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(asked)]
        assert 5 <= gaps[0] <= 15
        assert all(later > earlier for earlier, later in pairwise(gaps[:8]))
        assert 2800 <= gaps[-1] <= 3605
        assert len(asked) < 20

    def test_one_that_failed_again_after_it_was_back_is_soon_asked_again(self, mail_server, key, clock):
        mail_server.stop()
        owed(key)
        for _ in range(5):
            send_notices()
            clock.shift(pauses.LONGEST)
        mail_server.start()
        assert send_notices() == 1
        mail_server.stop()
        owed(key)
        assert send_notices() == 0
        mail_server.start()
        clock.shift(timedelta(seconds=10))
        assert send_notices() == 1

    def test_all_that_waited_go_out_as_soon_as_it_is_back(self, mail_server, key, clock):
        mail_server.stop()
        owed(key)
        owed(key)
        send_notices()
        mail_server.start()
        clock.shift(timedelta(seconds=10))
        assert send_notices() == 2

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
    def test_one_that_is_out_of_order_delays_and_loses_nothing(
        self, mail_server, settings, key, clock, behaviour
    ):
        notices = [owed(key), owed(key)]
        with broken_server(behaviour) as settings.EMAIL_PORT:
            settings.EMAIL_TIMEOUT = 0.2
            started = time.perf_counter()
            assert send_notices() == 0
            assert time.perf_counter() - started < 2
        for notice in notices:
            notice.refresh_from_db()
            assert notice.sent_at is None
            assert notice.error.startswith("the mail server can't be used: ") or "answered" in notice.error
            assert notice.error.isprintable()
        # It failed at one email at most, and wasn't asked to take the other.
        assert sum(notice.attempts for notice in notices) <= 1
        settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = mail_server.port, 5
        clock.shift(timedelta(seconds=10))
        assert send_notices() == 2

    def test_an_email_that_the_server_cant_bear_lets_the_others_through(
        self, mail_server, owner, issue, clock
    ):
        first, second = (
            issue(owner=User.objects.create_user(f"{name}@example.com"))[0] for name in ("anna", "ben")
        )
        mail_server.answers["anna@example.com"] = "421 I hang up"
        owed(first)
        owed(second)
        assert send_notices() == 0
        clock.shift(timedelta(seconds=10))
        send_notices()
        assert mail_server.recipients == ["ben@example.com"]


class TestWhenOneEmailIsRefused:
    @pytest.mark.parametrize(
        ("answer", "least", "most"),
        [("450 mailbox busy", 8, 10), ("550 no such user", 3600, 3600)],
    )
    def test_it_waits_with_its_error_and_the_others_go_out(self, mail_server, issue, answer, least, most):
        notices = {}
        for name in ("anna", "ben", "carla"):
            owner = User.objects.create_user(f"{name}@example.com")
            notices[name] = owed(issue(owner=owner)[0])
        mail_server.answers["anna@example.com"] = answer
        assert send_notices() == 2
        assert mail_server.recipients == ["ben@example.com", "carla@example.com"]
        notices["anna"].refresh_from_db()
        assert notices["anna"].error == f"the mail server answered {answer}"
        assert least <= (notices["anna"].due_at - NOW).total_seconds() <= most

    @pytest.mark.parametrize("answer", ["452 disk full", "554 looks like spam"])
    def test_a_message_that_is_refused_waits_too(self, mail_server, key, clock, answer):
        notice = owed(key)
        mail_server.answers[""] = answer
        assert send_notices() == 0
        notice.refresh_from_db()
        assert notice.error == f"the mail server answered {answer}"
        mail_server.answers.clear()
        clock.shift(timedelta(hours=1))
        assert send_notices() == 1

    def test_it_is_tried_for_ever(self, mail_server, key, clock):
        notice = owed(key)
        mail_server.answers["olivia@example.com"] = "550 no such user"
        for _ in range(50):
            send_notices()
            clock.shift(timedelta(hours=2))
        notice.refresh_from_db()
        assert notice.attempts == 50
        mail_server.answers.clear()
        assert send_notices() == 1

    def test_one_that_cant_be_made_doesnt_keep_the_others(self, mail_server, key):
        broken = owed(key, "day_block", until="tomorrow")
        owed(key)
        assert send_notices() == 1
        broken.refresh_from_db()
        assert "can't be made" in broken.error

    def test_one_to_an_impossible_address_doesnt_keep_the_others(self, mail_server, key, issue):
        owed(issue(owner=User.objects.create_user("anna@example.com\nBcc: eve@example.com"))[0])
        owed(key)
        assert send_notices() == 1
        assert mail_server.recipients == ["olivia@example.com"]


class TestGivingUp:
    @pytest.mark.parametrize("kind", ["quota_near", "quota_spent"])
    def test_a_quotas_email_is_pointless_when_its_day_is_over(self, mail_server, key, clock, kind):
        notice = owed(key, kind)
        clock.move_to(datetime(2026, 3, 2, 0, 0, tzinfo=UTC))
        assert send_notices() == 0
        notice.refresh_from_db()
        assert (notice.given_up_at, notice.sent_at) == (datetime(2026, 3, 2, tzinfo=UTC), None)
        assert notice.error == "The day was over before it could be sent."
        assert not Notice.objects.due(datetime(2027, 1, 1, tzinfo=UTC)).exists()

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"is_active": False}, "The account is not active."),
            ({"email": ""}, "The account has no email address."),
            ({"wants_quota_emails": False}, "The owner has switched these emails off."),
        ],
    )
    def test_nobody_is_written_to_who_isnt_there_or_doesnt_want_it(
        self, mail_server, key, owner, change, why
    ):
        notice = owed(key, "quota_near")
        User.objects.filter(pk=owner.pk).update(**change)
        assert send_notices() == 0
        notice.refresh_from_db()
        assert (notice.error, notice.sent_at) == (why, None)
        assert mail_server.received == []


def test_a_mail_server_isnt_asked_for_longer_than_the_timeout(settings):
    assert settings.EMAIL_TIMEOUT == 10
    assert get_connection("django.core.mail.backends.smtp.EmailBackend").timeout == 10
