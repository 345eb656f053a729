"""Deleting an account: its keys stop everywhere, and nothing personal stays but the audit log."""

import json
import re
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.idp.oidc.models import Client as Service
from allauth.idp.oidc.models import Token
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import api_keys
from accounts.account import deletion
from accounts.audit import record
from accounts.mail.letters import content_of, owe_letter
from accounts.models import ApiKey, AuditEntry, ContactMessage, KeySecret, Letter, User
from images.models import Download, Job
from images.queue.cleaning import remove_what_is_over
from usage.guard.guard import Guard
from usage.guard.known_subjects import KnownSubjects
from usage.limits.breaker import Breaker
from usage.limits.refusals import Refusal
from usage.limits.store import limit_store
from usage.models import EscalationEvent, EscalationState, Notice, RateHit, UsageDay
from usage.subjects import key_subject_id

PASSWORD = "eucalyptus leaf nine"


@pytest.fixture(autouse=True)
def _store(valkey):
    pass


@pytest.fixture
def ada(db):
    ada = User.objects.create_user("ada@example.com", PASSWORD, name="Ada King")
    ada.vouch_for_address()
    return ada


@pytest.fixture
def key(ada):
    key, key.text = api_keys.issue(ada, name="prod")
    return key


def signed_in(email="ada@example.com"):
    client = Client(HTTP_USER_AGENT="Ada's own browser", REMOTE_ADDR="192.0.2.77")
    client.post("/accounts/login/", {"login": email, "password": PASSWORD})
    return client


def confirmed(client):
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302
    return client


def delete(client, email="ada@example.com", **options):
    return client.post("/account/delete/", {"email": email}, **options)


@pytest.mark.django_db
class TestThePage:
    def test_names_each_key_that_stops_and_what_stays(self, ada, key):
        api_keys.issue(ada, name="nightly")
        revoked, _ = api_keys.issue(ada, name="of old")
        revoked.revoke()
        api_keys.issue(ada, name="over", expires_at=timezone.now() - timedelta(days=1))
        text = confirmed(signed_in()).get("/account/delete/").content.decode()
        assert "<strong>2 API keys</strong>" in text
        assert re.findall(r"<li><span>(.*?)</span>", text) == ["nightly", "prod"]
        assert "audit log" in text

    def test_without_keys_it_says_that_nothing_breaks(self, ada):
        text = confirmed(signed_in()).get("/account/delete/").content.decode()
        assert "nothing that is running will break" in text

    def test_asks_who_it_is_first(self, ada, key):
        client = signed_in()
        response = client.get("/account/delete/")
        assert response.headers["Location"] == "/accounts/reauthenticate/?next=%2Faccount%2Fdelete%2F"
        assert delete(client).headers["Location"].startswith("/accounts/reauthenticate/")
        assert User.objects.exists()

    def test_goes_on_with_what_was_sent_once_that_is_answered(self, ada, key):
        client = signed_in()
        delete(client)
        client.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": "/account/delete/"})
        assert not User.objects.exists()

    @pytest.mark.parametrize(
        "typed", ["", "eve@example.com", "ada@example.co", "x" * 10_000, "ada@example.com\x00"]
    )
    def test_wants_the_address_typed(self, ada, typed):
        response = delete(confirmed(signed_in()), typed)
        assert response.status_code == 200
        assert 'id="id_email_error"' in response.content.decode()
        assert User.objects.exists()

    def test_takes_the_address_in_capitals(self, ada):
        assert delete(confirmed(signed_in()), " ADA@Example.com ").headers["Location"] == "/account/deleted/"
        assert not User.objects.exists()

    def test_signs_out_and_says_good_bye(self, ada):
        client = confirmed(signed_in())
        text = delete(client, follow=True).content.decode()
        assert "Your account is deleted" in text
        assert "Ada" not in text
        assert client.get("/account/").status_code == 302

    def test_sent_twice_it_is_done_once(self, ada):
        client = confirmed(signed_in())
        cookies = client.cookies.copy()
        delete(client)
        client.cookies = cookies
        assert delete(client).headers["Location"].startswith("/accounts/")
        assert AuditEntry.objects.filter(action="deleted account").count() == 1

    def test_of_two_forms_sent_at_once_the_later_finds_it_done(self, ada):
        both = User.objects.get(pk=ada.pk)
        deletion.delete_account(ada)
        deletion.delete_account(both)
        assert AuditEntry.objects.filter(action="deleted account").count() == 1

    def test_a_deleted_account_signs_in_nowhere_and_its_address_is_free(self, ada):
        delete(confirmed(signed_in()))
        assert signed_in().get("/account/").status_code == 302
        again = User.objects.create_user("ada@example.com", PASSWORD)
        again.vouch_for_address()
        assert signed_in().get("/account/").status_code == 200


@pytest.mark.django_db
class TestTheLastSuperuser:
    @pytest.fixture
    def root(self):
        return User.objects.create_superuser("root@example.com", PASSWORD)

    def test_stays(self, root):
        User.objects.create_superuser("gone@example.com", PASSWORD, is_active=False)
        client = confirmed(signed_in("root@example.com"))
        response = delete(client, "root@example.com")
        assert "This account can't be deleted." in response.content.decode()
        assert "can't be deleted" in client.get("/account/").content.decode()
        assert User.objects.filter(pk=root.pk).exists()
        with pytest.raises(deletion.LastSuperuser):
            deletion.delete_account(root)

    def test_may_go_when_there_is_another(self, root):
        User.objects.create_superuser("second@example.com", PASSWORD)
        delete(confirmed(signed_in("root@example.com")), "root@example.com")
        assert not User.objects.filter(pk=root.pk).exists()


@pytest.mark.django_db
class TestWhatStays:
    def test_the_audit_log_has_an_entry_for_each_key_that_died_and_for_the_account(self, ada, key):
        record("suspended", key, by=ada, reason="An entry of before.")
        owned = ada.pk
        delete(confirmed(signed_in()))
        entries = list(
            AuditEntry.objects.order_by("pk").values_list("action", "target_id", "actor", "actor_label")
        )
        assert entries == [
            ("suspended", str(key.pk), None, "ada@example.com"),
            ("deleted with its account", str(key.pk), None, "ada@example.com"),
            ("deleted account", str(owned), None, "ada@example.com"),
        ]

    def test_one_last_letter_goes_out(self, ada, key):
        owe_letter("password_reset_key", "ada@example.com", "A link", "https://…")
        delete(confirmed(signed_in()))
        (letter,) = Letter.objects.all()
        assert (letter.kind, letter.recipient) == ("account_deleted", "ada@example.com")
        assert f'What stopped: "prod" ({key.start}...)' in content_of(letter).text

    def test_nothing_else_in_the_database_tells_of_the_person(self, ada, key):
        everything_of(ada, key)
        client = confirmed(signed_in())
        TOTP.activate(ada, "JBSWY3DPEHPK3PXP")
        delete(client)
        named = re.compile(r"ada@|Ada King|192\.0\.2\.77|Ada's own", re.I)
        told = {table for table, row in every_row() if named.search(row)}
        assert told == {"accounts_auditentry", "accounts_letter"}
        for gone in (ApiKey, KeySecret, Notice, EscalationState, EscalationEvent, Token, ContactMessage):
            assert not gone.objects.exists(), gone
        for gone in (EmailAddress, Authenticator, UserSession, Session):
            assert not gone.objects.exists(), gone

    def test_totals_without_a_name_stay(self, ada, key):
        everything_of(ada, key)
        delete(confirmed(signed_in()))
        assert UsageDay.objects.get().admitted == 5
        assert RateHit.objects.get().count == 3

    def test_a_service_that_a_deleted_person_entered_goes_on(self, ada):
        Service.objects.create(id="shop", name="Shop", owner=ada)
        delete(confirmed(signed_in()))
        assert Service.objects.get().owner is None


def everything_of(ada, key):
    """A row of each kind that can have to do with an account."""
    subject, now = key_subject_id(key.pk), timezone.now()
    hit = {"kind": "minute", "route": "convert", "count": 3, "minute": now}
    RateHit.objects.create(subject=subject, address="192.0.2.77", user_agent="Ada's own", **hit)
    UsageDay.objects.create(subject=subject, bucket=1, start=now, admitted=5)
    EscalationState.objects.create(subject=subject, key=key, bucket=1, changed_at=now)
    event = {"cause": "suspended", "before": 0, "after": 5, "at": now}
    EscalationEvent.objects.create(
        subject=subject, key=key, event_id="1", reason="Ada King said so.", **event
    )
    Notice.objects.create(kind=Notice.Kind.SUSPENSION, key=key, once="1")
    Token.objects.create(type="at", hash="h", user=ada, client=Service.objects.create(id="s", name="Shop"))
    message = {"subject": "Hello", "text": "I am Ada King.", "form_id": "0" * 32, "email": ada.email}
    ContactMessage.objects.create(sender=ada, **message)
    Job.objects.create(owner=ada, subject_id=subject, output_format="webp", input_bytes=1)


def every_row():
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608
            yield from ((table, repr(row)) for row in cursor.fetchall())


@pytest.mark.django_db
class TestFiles:
    def job(self, ada, key, status, **fields):
        job = Job(
            owner=ada, subject_id=key_subject_id(key.pk), output_format="webp", input_bytes=3, status=status
        )
        for name, value in fields.items():
            getattr(job, name).save("", ContentFile(value), save=False)
        job.save()
        return job

    def test_can_be_fetched_no_more_at_once_and_go_with_the_next_cleaning(self, ada, key):
        done = self.job(ada, key, "done", result=b"made")
        waits = self.job(ada, key, "queued", source=b"sent")
        Download.objects.create(job=done, token_hash="t" * 64)
        other = Job.objects.create(subject_id="ip:192.0.2.9", output_format="webp", input_bytes=1)
        delete(confirmed(signed_in()))
        assert not Download.objects.alive().exists()
        assert not Job.objects.filter(owner__isnull=False).exists()
        assert not Job.objects.filter(subject_id=key_subject_id(key.pk)).exists()
        remove_what_is_over()
        assert list(Job.objects.all()) == [other]
        assert not done.result.storage.exists(done.result.name)
        assert not waits.source.storage.exists(waits.source.name)

    def test_a_worker_that_is_busy_with_one_drops_what_it_makes(self, ada, key):
        job = self.job(ada, key, "queued", source=b"sent")
        assert job.start()
        delete(confirmed(signed_in()))
        assert not job.fail("invalid_request", "Too late.")

    def test_thousands_take_the_request_no_longer(self, ada, key, django_assert_max_num_queries):
        subject, now = key_subject_id(key.pk), timezone.now()
        Job.objects.bulk_create(
            Job(
                owner=ada,
                subject_id=subject,
                output_format="webp",
                input_bytes=1,
                status="done",
                result=f"out/{n}",
            )
            for n in range(3000)
        )
        Notice.objects.bulk_create(
            Notice(kind=Notice.Kind.QUOTA_NEAR, key=key, once=str(n)) for n in range(3000)
        )
        EscalationEvent.objects.bulk_create(
            EscalationEvent(event_id=n, subject=subject, key=key, at=now, cause="decay", before=1, after=0)
            for n in range(3000)
        )
        AuditEntry.objects.bulk_create(AuditEntry(actor=ada, action="x", target_id=n) for n in range(3000))
        with django_assert_max_num_queries(60):
            deletion.delete_account(ada)
        assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestKeys:
    """Two processes have used the key, and keep it in mind."""

    @pytest.fixture(autouse=True)
    def _patience(self, monkeypatch):
        """The product's 50 ms are few on a busy machine."""
        monkeypatch.setattr(limit_store(), "_timeout", 2)
        monkeypatch.setattr(limit_store(), "breaker", Breaker())
        limit_store()._start_over()

    def ask(self, guard, text):
        meta = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/v1/usage", "REMOTE_ADDR": "192.0.2.1"}
        checked = guard.check({**meta, "HTTP_X_API_KEY": text})
        return json.loads(checked.body)["code"] if isinstance(checked, Refusal) else "admitted"

    def test_are_refused_from_the_next_request_on_in_every_process(self, ada, key):
        _, text = api_keys.issue(User.objects.create_user("eve@example.com"), name="eve's")
        processes = [Guard(KnownSubjects()), Guard(KnownSubjects())]
        assert [self.ask(guard, key.text) for guard in processes] == ["admitted"] * 2
        deletion.delete_account(ada)
        assert [self.ask(guard, key.text) for guard in processes] == ["invalid_key"] * 2
        assert [self.ask(guard, text) for guard in processes] == ["admitted"] * 2

    def test_nothing_happens_by_halves(self, ada, key, monkeypatch):
        monkeypatch.setattr(User, "delete", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            deletion.delete_account(ada)
        assert (AuditEntry.objects.count(), Letter.objects.count()) == (0, 0)
        assert self.ask(Guard(KnownSubjects()), key.text) == "admitted"
