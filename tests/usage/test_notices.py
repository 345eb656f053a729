"""Mail about keys: owed with its cause, told once, and what it says."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import time_machine
from django.db import transaction

from accounts.mail.letters import owe_letter
from accounts.mail.sending import send_what_is_due
from accounts.models import User
from tests.mail_server import html_of, text_of, words_in
from usage.escalation.reactivation import suspend
from usage.models import EscalationEvent, EscalationStep, Notice
from usage.notices import owe
from usage.subjects import key_subject_id
from usage.tasks import send_mail

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
    "suspension_kept": {"reason": "It still <hammers>.\nMend it first."},
    "key_created": {"start": "koala_3fK9xx"},
    "key_rotated": {
        "start": "koala_3fK9xx",
        "old_start": "koala_1aB2yy",
        "retires_at": "2026-03-02T12:00:00+00:00",
    },
    "key_expiring": {"start": "koala_3fK9xx", "expires_at": "2026-03-08T12:00:00+00:00"},
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
def mail_server(clock, mail_server):
    return mail_server


@pytest.fixture
def key(issue):
    key, key.text = issue()
    return key


def owed(key, kind="suspension", **facts):
    """A notice of an occasion of its own."""
    if kind == "key_expiring":
        key.expires_at = datetime.fromisoformat(FACTS[kind]["expires_at"])
        key.save()
    owe(Notice.Kind(kind), key, f"{kind}:{Notice.objects.count()}", {**FACTS[kind], **facts})
    return Notice.objects.latest("id")


def words_of(email):
    return " ".join(text_of(email).split())


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
                    "ask for the key's reactivation on the page below",
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
        assert send_what_is_due() == 1
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
        send_what_is_due()
        suspended, reactivated = map(text_of, mail_server.received)
        assert "the people who run this panel suspended it" in suspended
        assert "\n> Resells <our> service & others.\n" in suspended
        assert "Retry-After" not in suspended
        assert "It starts anew" in reactivated
        assert "\n> A mistake of ours.\n" in reactivated

    def test_its_numbers_are_the_ladders_in_force(self, mail_server, key):
        EscalationStep.objects.filter(number=5).update(strikes=7)
        owed(key, "day_block")
        send_what_is_due()
        assert "7 more strikes would suspend it" in words_of(mail_server.received[0])

    def test_a_key_without_a_minutes_limit_is_told_of_none(self, mail_server, key):
        owed(key, "day_block", minute_limit=None)
        send_what_is_due()
        assert "1,300 refused.\n" in text_of(mail_server.received[0])

    def test_a_late_one_says_that_the_block_is_over(self, mail_server, key, clock):
        owed(key, "day_block")
        clock.shift(timedelta(days=2))
        send_what_is_due()
        assert "was blocked until" in mail_server.received[0]["Subject"]

    def test_a_keys_odd_name_makes_no_header_of_its_own(self, mail_server, key):
        key.name = 'né\r\nBcc: eve@example.com "<b>'
        key.save()
        owed(key)
        send_what_is_due()
        (email,) = mail_server.received
        assert email["Bcc"] is None
        assert email["Subject"].strip() == 'API key "né Bcc: eve@example.com "<b>" is suspended'


@pytest.mark.parametrize("kind", Notice.Kind)
class TestItsTwoParts:
    """Of every kind there is: one without words, or facts above, fails here."""

    @pytest.fixture
    def email(self, mail_server, key, kind):
        key.name = 'prod <b> & "co"'
        key.save()
        owed(key, kind)
        assert send_what_is_due() == 1
        return mail_server.received[0]

    def test_say_the_same_words_in_the_same_order(self, email, kind):
        said = re.sub(r"[\s:]+|^> |^-- $", " ", text_of(email), flags=re.MULTILINE).split()
        shown = re.sub(r"[\s:]+", " ", words_in(html_of(email))).split()
        title = re.sub(r"[\s:]+", " ", f"KoalaPanel {email['Subject']}").split()
        assert shown == [*title, *said]

    def test_are_well_formed_escape_a_name_and_load_nothing(self, email, kind):
        html = html_of(email)
        ElementTree.fromstring(html)
        assert "prod &lt;b&gt; &amp; &quot;co&quot;" in html
        assert "<b>" not in html
        assert not re.search(r"<(img|link|script|iframe|form)|src=|url\(|@import", html)

    def test_lead_to_the_key_by_one_button_and_to_no_host_but_ours(self, email, kind, client, owner):
        links = re.findall(r'href="([^"]*)"', html_of(email))
        assert {urlsplit(link)[:2] for link in links} == {("https", "panel.example.com")}
        (button,) = re.findall(r'class="button" href="([^"]*)"', html_of(email))
        assert f"\n{button}\n" in text_of(email)
        client.force_login(owner)
        page = client.get(button.removeprefix("https://panel.example.com"), follow=True)
        assert page.status_code == 200
        assert "prod &lt;b&gt;" in page.content.decode()

    def test_tell_why_it_came_and_where_the_daily_ones_are_switched_off(self, email, kind, client, owner):
        switch = "https://panel.example.com/account/#notifications"
        assert switch in text_of(email)
        assert f'href="{switch}"' in html_of(email)
        client.force_login(owner)
        assert 'id="notifications"' in client.get("/account/").content.decode()


class TestTheLinkToABlock:
    @pytest.fixture
    def event(self, key):
        return EscalationEvent.objects.create(
            event_id="b7:1-0",
            subject=key_subject_id(key.pk),
            key=key,
            at=NOW,
            cause="strikes",
            before=4,
            after=5,
        )

    def link_in(self, mail_server):
        assert send_what_is_due() == 1
        (button,) = re.findall(r'class="button" href="([^"]*)"', html_of(mail_server.received[0]))
        return button

    @pytest.mark.parametrize("kind", ["day_block", "suspension"])
    def test_leads_to_the_page_of_the_one_that_it_is_about(
        self, mail_server, key, event, kind, client, owner
    ):
        owe(Notice.Kind(kind), key, f"{kind}:{event.event_id}", FACTS[kind])
        link = self.link_in(mail_server)
        assert link == f"https://panel.example.com/usage/blocks/{event.pk}/"
        client.force_login(owner)
        assert client.get(f"/usage/blocks/{event.pk}/").status_code == 200


class TestSending:
    def test_an_email_arrives_once(self, mail_server, key):
        notice = owed(key)
        assert send_what_is_due() == 1
        assert send_what_is_due() == 0
        assert len(mail_server.received) == 1
        notice.refresh_from_db()
        assert (notice.sent_at, notice.attempts, notice.error) == (NOW, 1, "")

    def test_beats_task_sends(self, mail_server, key):
        owed(key)
        assert send_mail() == 1

    def test_letters_go_before_notices_over_the_same_connection(self, mail_server, key):
        owed(key)
        owe_letter("password_reset", "ada@example.com", "A new password", "Here you are.")
        assert send_what_is_due() == 2
        assert [email["To"] for email in mail_server.received] == ["ada@example.com", "olivia@example.com"]
        assert mail_server.connections == 1

    @pytest.mark.django_db(transaction=True)
    def test_what_owes_an_email_doesnt_wait_for_the_mail_server(self, mail_server, key):
        suspend(key, by=None, reason="a test")
        assert mail_server.connections == 0
        assert Notice.objects.waiting().count() == 1

    def test_it_is_tried_for_ever(self, mail_server, key, clock):
        notice = owed(key)
        mail_server.answers["olivia@example.com"] = "550 no such user"
        for _ in range(50):
            send_what_is_due()
            clock.shift(timedelta(hours=2))
        notice.refresh_from_db()
        assert notice.attempts == 50
        mail_server.answers.clear()
        assert send_what_is_due() == 1

    def test_one_that_cant_be_made_doesnt_keep_the_others(self, mail_server, key):
        broken = owed(key, "day_block", until="tomorrow")
        owed(key)
        assert send_what_is_due() == 1
        broken.refresh_from_db()
        assert "can't be made" in broken.error


class TestGivingUp:
    @pytest.mark.parametrize("kind", ["quota_near", "quota_spent"])
    def test_a_quotas_email_is_pointless_when_its_day_is_over(self, mail_server, key, clock, kind):
        notice = owed(key, kind)
        clock.move_to(datetime(2026, 3, 2, 0, 0, tzinfo=UTC))
        assert send_what_is_due() == 0
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
        assert send_what_is_due() == 0
        notice.refresh_from_db()
        assert (notice.error, notice.sent_at) == (why, None)
        assert mail_server.received == []
