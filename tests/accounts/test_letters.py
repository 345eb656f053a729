"""Letters: what is owed to one address, sealed until it is sent, and what those about an account say."""

import json
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import allauth
import pytest
import time_machine
from allauth.account import app_settings as allauth_settings
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.template.loader import get_template, render_to_string
from django.utils import timezone

from accounts.mail import letters, waking
from accounts.mail.letters import owe_letter
from accounts.mail.message import wrapped
from accounts.mail.sending import send_what_is_due
from accounts.models import AuditEntry, Letter, User
from accounts.sealing import seal
from accounts.sign_in.adapter import AccountAdapter
from koalapanel.celery import app
from koalapanel.env import BASE_DIR
from tests.admin_pages import act, change_page, list_page
from tests.mail_server import text_of

pytestmark = pytest.mark.django_db

LINK = "https://panel.example.com/accounts/password/reset/key/1-secret/"


def owed(text=f"Open {LINK}", **fields):
    return owe_letter("password_reset_key", "ada@example.com", "A new password", text, **fields)


class TestOwing:
    def test_nothing_readable_lies_in_the_database(self):
        letter = owed()
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM accounts_letter")
            row = repr(cursor.fetchall())
        assert "ada@example.com" in row
        for secret in (LINK, "secret", "new password"):
            assert secret not in row
        assert letters.content_of(letter).text == f"Open {LINK}"

    @pytest.mark.django_db(transaction=True)
    def test_a_letter_is_owed_with_its_cause_or_not_at_all(self):
        with transaction.atomic():
            owed()
            transaction.set_rollback(True)
        assert not Letter.objects.exists()

    def test_an_address_that_is_too_long_fails_no_request_and_is_written_to_by_nobody(self, mail_server):
        letter = owe_letter("unknown_account", "a" * 300 + "@example.com", "Hello", "")
        assert letter.given_up_at == letter.created_at
        assert letter.error == "The address is too long to be one."
        assert send_what_is_due() == 0


class TestSending:
    def test_what_it_says_arrives_and_leaves_the_database(self, mail_server):
        letter = owed()
        assert send_what_is_due() == 1
        (email,) = mail_server.received
        assert (email["Subject"], email["To"]) == ("A new password", "ada@example.com")
        assert LINK in text_of(email)
        assert (email["Auto-Submitted"], email["Reply-To"]) == ("auto-generated", None)
        letter.refresh_from_db()
        assert letter.sent_at is not None
        assert letter.sealed == ""

    def test_one_that_was_owed_before_an_upgrade_arrives_as_well(self, mail_server):
        letter = owed()
        was = {"subject": "A new password", "text": f"Open {LINK}", "html": None, "reply_to": None}
        letter.sealed = seal(letters.PURPOSE, json.dumps(was))
        letter.save()
        assert send_what_is_due() == 1
        (email,) = mail_server.received
        assert LINK in text_of(email)

    def test_an_answer_goes_to_who_wrote_it_and_machines_may_answer_a_person(self, mail_server):
        owed(reply_to="eve@example.com")
        send_what_is_due()
        (email,) = mail_server.received
        assert (email["Reply-To"], email["Auto-Submitted"]) == ("eve@example.com", None)

    def test_a_subject_makes_no_header_of_its_own(self, mail_server):
        owe_letter("contact", "ada@example.com", "Hi\r\nBcc: eve@example.com\r\n\r\nOops", "Hello")
        send_what_is_due()
        (email,) = mail_server.received
        assert (email["Bcc"], email["Subject"]) == (None, "Hi Bcc: eve@example.com Oops")

    def test_one_whose_seal_is_of_another_secret_key_is_given_up_and_the_others_go_out(
        self, mail_server, settings
    ):
        kept, settings.SECRET_KEY = settings.SECRET_KEY, "another"
        letter = owed()
        settings.SECRET_KEY = kept
        owed()
        assert send_what_is_due() == 1
        letter.refresh_from_db()
        assert letter.given_up_at is not None
        assert letter.error == "It was sealed under another SECRET_KEY, or has been changed since."
        assert letter.sealed == ""

    def test_one_that_comes_too_late_for_its_link_is_given_up_with_what_kept_it(self, mail_server):
        with time_machine.travel(datetime(2026, 3, 1, 12, 0, tzinfo=UTC), tick=False) as clock:
            letter = owed()
            mail_server.answers["ada@example.com"] = "550 no such user"
            for _ in range(72):
                send_what_is_due()
                clock.shift(timedelta(hours=1))
        letter.refresh_from_db()
        assert letter.given_up_at - letter.created_at == letters.WORTH_SENDING + timedelta(hours=1)
        assert letter.error == "It couldn't be sent in time: the mail server answered 550 no such user"
        assert (letter.sent_at, letter.sealed) == (None, "")


@pytest.mark.django_db(transaction=True)
class TestWakingTheWorker:
    @pytest.fixture(autouse=True)
    def _awake(self, monkeypatch):
        monkeypatch.setattr(waking, "_away_until", 0.0)

    @pytest.fixture
    def called(self, valkey):
        """The names of the tasks that wait in the queue."""
        return lambda: [json.loads(m)["headers"]["task"] for m in valkey.lrange("kpqueue:celery", 0, -1)]

    def test_a_letter_that_is_owed_wakes_it_to_the_task_that_sends(self, mail_server, called):
        owed()
        (task,) = called()
        app.loader.import_default_modules()
        assert app.tasks[task]() == 1
        assert len(mail_server.received) == 1

    def test_it_is_woken_after_the_commit_and_by_nothing_that_is_rolled_back(self, called):
        with transaction.atomic():
            owed()
            assert called() == []
        assert len(called()) == 1
        with transaction.atomic():
            owed()
            transaction.set_rollback(True)
        assert len(called()) == 1

    @pytest.mark.parametrize("listens", [False, True], ids=["nobody listens", "silent"])
    def test_a_queue_that_is_away_costs_no_request_more_than_half_a_second_and_is_asked_once(
        self, tmp_path, monkeypatch, listens
    ):
        with socket.socket(socket.AF_UNIX) as broker:
            broker.bind(str(tmp_path / "broker.sock"))
            if listens:
                broker.listen(64)
            address = f"redis+socket://{tmp_path / 'broker.sock'}"
            monkeypatch.setattr(app.conf, "broker_write_url", address)
            began = time.monotonic()
            for _ in range(5):
                owed()
            assert time.monotonic() - began < 1.5
        assert Letter.objects.waiting().count() == 5


OURS = BASE_DIR / "templates"
THEIRS = Path(allauth.__file__).parent / "templates"
# Codes instead of links: with the settings as they are, they are never sent.
NEVER_SENT = {"account/email/base", "account/email/login_code", "account/email/password_reset_code"}
SENT = sorted(
    {
        str(path.relative_to(THEIRS)).removesuffix("_message.txt")
        for app_name in ("account", "mfa", "usersessions", "idp")
        for path in (THEIRS / app_name).rglob("*_message.txt")
    }
    - NEVER_SENT
)


def rendered(prefix, **context):
    context = {
        "email": "ada@example.com",
        "activate_url": "https://panel.example.com/accounts/confirm-email/KEY/",
        "password_reset_url": LINK,
        "signup_url": "https://panel.example.com/accounts/signup/",
        "from_email": "old@example.com",
        "to_email": "new@example.com",
        "deleted_email": "old@example.com",
        "timestamp": datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
        "ip": "203.0.113.9",
        "user_agent": "Mozilla/5.0 <'Koala' & co>",
        **context,
    }
    subject = render_to_string(f"{prefix}_subject.txt", context).strip()
    return subject, wrapped(render_to_string(f"{prefix}_message.txt", context))


class TestWhatLettersAboutAnAccountSay:
    @pytest.fixture(autouse=True)
    def _base_url(self, settings):
        settings.BASE_URL = "https://panel.example.com"

    @pytest.mark.parametrize("prefix", SENT)
    def test_it_is_ours_in_plain_words_and_with_whole_links(self, prefix):
        for part in ("subject", "message"):
            assert Path(get_template(f"{prefix}_{part}.txt").origin.name).is_relative_to(OURS)
        subject, text = rendered(prefix)
        assert subject
        assert "\n" not in subject
        assert text.startswith("Hello,\n\n")
        assert text.endswith("\n\nKoalaPanel, https://panel.example.com/\n")
        assert "KoalaPanel account" in " ".join(text.split())
        assert "asn't it you? Then " in text
        assert not set("{}%") & set(text)
        assert "&lt;" not in text
        assert "&#" not in text
        for word in text.split():
            assert "/" not in word or word.startswith("https://panel.example.com/") or "Mozilla" in word
        assert all(len(line) <= 76 or line.startswith("https://") for line in text.splitlines())

    @pytest.mark.parametrize(
        ("prefix", "link"),
        [
            ("account/email/email_confirmation_signup", "/accounts/confirm-email/KEY/"),
            ("account/email/email_confirmation", "/accounts/confirm-email/KEY/"),
            ("account/email/password_reset_key", "/accounts/password/reset/key/1-secret/"),
            ("account/email/unknown_account", "/accounts/signup/"),
            ("account/email/account_already_exists", "/accounts/login/"),
            ("account/email/password_changed", "/accounts/password/reset/"),
            ("mfa/email/totp_deactivated", "/contact/"),
        ],
    )
    def test_it_has_the_link_to_what_is_to_be_done(self, prefix, link):
        assert f"https://panel.example.com{link}" in rendered(prefix)[1].split()

    def test_what_was_done_is_told_with_when_and_from_where(self):
        text = rendered("account/email/password_changed")[1]
        for fact in (
            "When: 1 March 2026, 12:00 UTC",
            "From the address: 203.0.113.9",
            "With: Mozilla/5.0 <'Koala' & co>",
        ):
            assert f"\n  {fact}\n" in text

    def test_a_client_adds_no_line_to_what_was_done(self, rf):
        sent = "curl\x85\x85Set it here:\x0bhttps://panel.example.com/evil/"
        told = AccountAdapter().get_http_user_agent(rf.get("/", HTTP_USER_AGENT=sent))
        assert told == "curl Set it here: https://panel.example.com/evil/"

    def test_links_live_as_long_as_letters_say(self):
        for prefix in ("account/email/email_confirmation", "account/email/password_reset_key"):
            assert "three days" in rendered(prefix)[1]
        three_days = timedelta(days=3)
        assert timedelta(days=allauth_settings.EMAIL_CONFIRMATION_EXPIRE_DAYS) == three_days
        assert timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT) == three_days
        assert three_days - letters.WORTH_SENDING >= timedelta(days=1)


class TestStaff:
    @pytest.fixture
    def support(self, client):
        person = User.objects.create_user("support@example.com", is_staff=True)
        person.groups.add(Group.objects.get(name="Support"))
        client.force_login(person)
        return client

    def test_they_see_what_became_of_a_letter_and_never_what_it_says(self, support):
        letter = owed()
        for page in (list_page(Letter), change_page(letter)):
            html = support.get(page).content.decode()
            assert "ada@example.com" in html
            assert "password_reset_key" in html
            assert letter.sealed not in html
            assert LINK not in html

    def test_they_have_what_waits_tried_again_at_once(self, support, valkey):
        later = timezone.now() + timedelta(hours=1)
        waits, sent = owed(), owed()
        Letter.objects.update(due_at=later)
        sent.book_as_sent(timezone.now())
        act(support, "try_again", waits, sent)
        assert list(Letter.objects.due(timezone.now())) == [waits]
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.target_id) == ("tried again", str(waits.pk))
