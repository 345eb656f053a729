"""Owners hear by email of keys that are made, rotated and about to end."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction

from accounts.keys import actions
from accounts.mail.sending import send_what_is_due
from accounts.models import ApiKey
from tests.mail_server import MailServer, text_of
from usage.key_notices import owe_expiry_notices
from usage.models import Notice
from usage.tasks import owe_expiry_notices as task

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
BEFORE = NOW - 30 * DAY


@pytest.fixture(autouse=True)
def clock(valkey, settings):
    settings.BASE_URL = "https://panel.example.com"
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def mail_server(settings, clock):
    server = MailServer()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 5
    server.start()
    yield server
    server.stop()


@pytest.fixture
def create(owner):
    return lambda **fields: actions.create(owner, by=owner, name="prod", **fields)


@pytest.fixture
def rotate(owner):
    return lambda key, overlap=DAY: actions.rotate(key, by=owner, revision=None, overlap=overlap)


@pytest.fixture
def ending(issue):
    """A key that was made long ago and ends in so much time."""

    def make(left=6 * DAY, **fields):
        return issue(expires_at=NOW + left, created_at=BEFORE, **fields)[0]

    return make


def kinds():
    return list(Notice.objects.order_by("id").values_list("kind", flat=True))


def words_of(email):
    return " ".join(text_of(email).split())


def sent(mail_server, number=1):
    assert send_what_is_due() == number
    email = mail_server.received[-1]
    assert email["To"] == "olivia@example.com"
    assert "https://panel.example.com/keys/" in words_of(email)
    return email, words_of(email)


class TestCreated:
    def test_the_owner_is_told_with_what_to_do_if_it_wasnt_them(self, mail_server, create):
        key, text = create()
        email, said = sent(mail_server)
        assert email["Subject"] == 'New API key "prod" in your account'
        assert f'"prod" ({key.start}...)' in said
        assert "What to do: nothing, if it was you." in said
        assert "If it wasn't you: revoke the key on the page below, change your password" in said
        assert text[len(key.start) :] not in email.as_string()

    def test_it_shows_the_secret_it_was_made_with_whatever_came_since(self, mail_server, create, rotate):
        key, _ = create()
        rotate(key)
        assert send_what_is_due() == 2
        assert f"({key.start}...)" in words_of(mail_server.received[0])

    @pytest.mark.django_db(transaction=True)
    def test_a_key_that_came_to_nothing_is_not_told_of(self, create):
        with transaction.atomic():
            create()
            transaction.set_rollback(True)
        assert kinds() == []

    def test_it_says_nothing_at_once_about_an_end_that_is_near(self, create):
        create(expires_at=NOW + 7 * DAY)
        assert owe_expiry_notices(NOW) == 0
        assert kinds() == ["key_created"]


class TestRotated:
    def test_the_owner_is_told_until_when_the_old_secret_works(self, mail_server, issue, rotate):
        key, old = issue()
        rotated, new = rotate(key)
        email, said = sent(mail_server)
        assert email["Subject"] == 'API key "prod" has a new secret'
        assert f'"prod" ({rotated.start}...)' in said
        assert f"The old one, {key.start}..., works until 2 March 2026, 12:00 UTC" in said
        assert "both are the same key, and share its limits" in said
        assert "If it wasn't you" in said
        for text in (old, new):
            assert text[len(key.start) :] not in email.as_string()

    @pytest.mark.parametrize("overlap", [timedelta(0), HOUR])
    def test_one_that_has_ended_by_then_works_no_more(self, mail_server, issue, rotate, clock, overlap):
        key, _ = issue()
        rotate(key, overlap)
        clock.shift(2 * HOUR)
        _, said = sent(mail_server)
        assert f"The old one, {key.start}..., works no more" in said
        assert "works until" not in said

    def test_each_rotation_is_told_once(self, issue, rotate):
        key, _ = issue()
        for _ in range(3):
            rotate(key)
        assert kinds() == ["key_rotated"] * 3


class TestAboutToEnd:
    def test_a_week_before_the_owner_is_told_when_and_what_to_do(self, mail_server, ending):
        key = ending(7 * DAY)
        key.secrets.update(last_used_at=NOW - HOUR)
        assert owe_expiry_notices(NOW) == 1
        email, said = sent(mail_server)
        assert email["Subject"] == 'API key "prod" expires on 8 March 2026, 12:00 UTC'
        assert f'"prod" ({key.start}...) expires on 8 March 2026, 12:00 UTC' in said
        assert "last used on 1 March 2026, 11:00 UTC" in said
        assert "refused with status 401" in said
        assert "give it a later end" in said

    def test_it_is_told_once_however_often_beat_asks(self, ending):
        ending()
        assert [owe_expiry_notices(NOW + hour * HOUR) for hour in range(4)] == [1, 0, 0, 0]

    def test_a_changed_end_is_told_anew(self, ending, owner):
        key = ending()
        owe_expiry_notices(NOW)
        actions.change_expiry(key, by=owner, revision=None, expires_at=NOW + 3 * DAY)
        assert owe_expiry_notices(NOW) == 1

    def test_an_end_that_was_put_off_is_not_told_of_any_more(self, mail_server, ending, owner):
        key = ending()
        owe_expiry_notices(NOW)
        actions.change_expiry(key, by=owner, revision=None, expires_at=NOW + 90 * DAY)
        assert (owe_expiry_notices(NOW), send_what_is_due()) == (0, 0)
        assert Notice.objects.get().error == "The key has another end by now."

    def test_a_key_revoked_since_is_not_told_of_any_more(self, mail_server, ending, owner):
        key = ending()
        owe_expiry_notices(NOW)
        actions.revoke(key, by=owner)
        assert send_what_is_due() == 0
        assert Notice.objects.get().given_up_at is not None

    @pytest.mark.parametrize("left", [7 * DAY + timedelta(seconds=1), timedelta(0), -DAY])
    def test_neither_sooner_nor_when_it_is_over(self, ending, left):
        ending(left)
        assert owe_expiry_notices(NOW) == 0

    @pytest.mark.parametrize("status", [ApiKey.Status.REVOKED, ApiKey.Status.SUSPENDED])
    def test_a_key_that_cant_be_used_is_left_alone(self, ending, status):
        ending(status=status)
        assert owe_expiry_notices(NOW) == 0

    def test_a_reactivated_one_is_told_of_after_all(self, ending):
        key = ending(status=ApiKey.Status.SUSPENDED)
        owe_expiry_notices(NOW)
        ApiKey.objects.filter(pk=key.pk).update(status=ApiKey.Status.ACTIVE)
        assert owe_expiry_notices(NOW + HOUR) == 1

    def test_the_keys_of_a_disabled_account_are_left_alone(self, ending, owner):
        ending()
        owner.is_active = False
        owner.save()
        assert owe_expiry_notices(NOW) == 0

    def test_a_key_that_never_ends_is_left_alone(self, issue):
        issue(created_at=BEFORE)
        assert owe_expiry_notices(NOW) == 0

    def test_a_late_email_says_that_it_has_expired(self, mail_server, ending, clock):
        ending()
        owe_expiry_notices(NOW)
        clock.shift(8 * DAY)
        email, said = sent(mail_server)
        assert email["Subject"] == 'API key "prod" has expired'
        assert "expired on 7 March 2026, 12:00 UTC" in said
        assert "has not been used yet" in said

    def test_its_queries_dont_grow_with_the_keys_that_were_told(self, ending, django_assert_max_num_queries):
        for _ in range(20):
            ending()
        assert task() == 20
        with django_assert_max_num_queries(3):
            assert task() == 0
