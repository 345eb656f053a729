"""What people do to their keys: done once, written down, and never on top of somebody else's change."""

import threading
import uuid
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from accounts import api_keys, signals
from accounts.keys import actions
from accounts.models import ApiKey, AuditEntry, KeySecret, User

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def clock(time_machine):
    time_machine.move_to("2026-03-01T12:00:00+00:00", tick=False)
    return time_machine


@pytest.fixture
def heard():
    """What `key_changed` said: the action and its facts."""
    news = []

    def listen(sender, key, action, facts, **_):
        news.append((action, facts))

    signals.key_changed.connect(listen)
    yield news
    signals.key_changed.disconnect(listen)


def entry():
    return AuditEntry.objects.get()


def ends(key):
    """When each secret retires, the newest secret first."""
    return [secret.retires_at for secret in key.secrets.all()]


class TestCreating:
    def test_the_text_works_and_the_log_has_everything_but_the_text(self, owner, heard):
        key, text = actions.create(owner, by=owner, name=" prod ", allowed_networks=["10.0.0.0/8"])
        assert api_keys.find(text) == key
        assert (key.name, key.tier.slug, key.allowed_networks) == ("prod", "free", ["10.0.0.0/8"])
        assert (entry().action, entry().actor, entry().target_id) == ("created", owner, str(key.pk))
        assert entry().after == {
            "start": key.start,
            "name": "prod",
            "tier": "free",
            "allowed_networks": ["10.0.0.0/8"],
        }
        assert heard == [("created", {})]
        assert all(text not in str(row) for row in AuditEntry.objects.values())

    def test_the_same_form_sent_twice_makes_one_key(self, owner, heard):
        form_id = uuid.uuid4()
        key, _ = actions.create(owner, by=owner, name="prod", form_id=form_id)
        with pytest.raises(actions.MadeBefore) as made:
            actions.create(owner, by=owner, name="other", form_id=form_id)
        assert made.value.key == key
        assert (ApiKey.objects.count(), AuditEntry.objects.count(), len(heard)) == (1, 1, 1)

    def test_an_accounts_form_says_nothing_of_anothers_key(self, owner):
        form_id = uuid.uuid4()
        actions.create(owner, by=owner, name="prod", form_id=form_id)
        other = User.objects.create_user("otto@example.com")
        key, _ = actions.create(other, by=other, name="theirs", form_id=form_id)
        assert key.owner == other

    def test_an_account_has_so_many_keys_and_revoked_ones_make_room(self, owner, settings):
        settings.KEYS_PER_ACCOUNT = 2
        keys = [actions.create(owner, by=owner, name="prod")[0] for _ in range(2)]
        with pytest.raises(actions.NotPossible, match="at most 2 keys"):
            actions.create(owner, by=owner, name="one too many")
        actions.revoke(keys[0], by=owner)
        actions.create(owner, by=owner, name="in its place")

    def test_staff_have_as_many_as_they_need(self, owner, settings):
        settings.KEYS_PER_ACCOUNT = 1
        owner.is_staff = True
        owner.save()
        for name in ("one", "two"):
            actions.create(owner, by=owner, name=name)

    def test_a_past_end_is_refused(self, owner):
        with pytest.raises(actions.NotPossible, match="in the past"):
            actions.create(owner, by=owner, name="prod", expires_at=timezone.now())
        assert not ApiKey.objects.exists()


class TestTheLastKey:
    @pytest.mark.django_db(transaction=True)
    def test_of_two_who_create_it_at_once_one_gets_it(self, owner, settings):
        settings.KEYS_PER_ACCOUNT = 3
        outcomes, begin = [], threading.Barrier(6)

        def create():
            begin.wait()
            try:
                actions.create(owner, by=owner, name="prod")
                outcomes.append("made")
            except actions.NotPossible:
                outcomes.append("refused")
            finally:
                connection.close()

        threads = [threading.Thread(target=create) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["made"] * 3 + ["refused"] * 3


class TestNames:
    def test_a_key_is_renamed(self, owner, key):
        renamed = actions.rename(key, by=owner, revision=key.revision, name="  Büro 🐨 ")
        assert renamed.name == ApiKey.objects.get().name == "Büro 🐨"
        assert (entry().action, entry().before, entry().after) == (
            "renamed",
            {"name": "prod"},
            {"name": "Büro 🐨"},
        )

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("", "Give the key a name"),
            (" \t ", "Give the key a name"),
            ("\u200b\u200b", "Give the key a name"),
            ("x" * 101, "this one has 101"),
            ("x" * 10_000, "this one has 10,000"),
            ("a\x00b", "control characters"),
            ("a\r\nBcc: all@example.com", "control characters"),
            ("a\u2028b", "control characters"),
            ("a\ud800b", "control characters"),
        ],
    )
    def test_a_name_that_is_none_is_refused_with_a_reason(self, owner, key, name, why):
        with pytest.raises(ValidationError, match=why):
            actions.rename(key, by=owner, revision=key.revision, name=name)
        assert not AuditEntry.objects.exists()

    def test_a_hundred_characters_are_kept(self, owner, key):
        assert actions.rename(key, by=owner, revision=key.revision, name="ö" * 100).name == "ö" * 100


class TestTwoPeopleAtOnce:
    def test_the_later_change_is_refused_and_nothing_is_done(self, owner, key):
        seen = key.revision
        actions.rename(key, by=owner, revision=seen, name="first")
        with pytest.raises(actions.Stale):
            actions.rename(key, by=owner, revision=seen, name="second")
        with pytest.raises(actions.Stale):
            actions.change_expiry(key, by=owner, revision=seen, expires_at=timezone.now() + DAY)
        with pytest.raises(actions.Stale):
            actions.change_allow_list(key, by=owner, revision=seen, allowed_networks=["10.0.0.1"])
        with pytest.raises(actions.Stale):
            actions.rotate(key, by=owner, revision=seen, overlap=HOUR)
        with pytest.raises(actions.Stale):
            actions.revoke(key, by=owner, revision=seen)
        assert ApiKey.objects.get().name == "first"
        assert (KeySecret.objects.count(), AuditEntry.objects.count()) == (1, 1)

    def test_a_rotation_is_a_change_to_those_who_edit(self, owner, key):
        seen = key.revision
        rotated, _ = actions.rotate(key, by=owner, revision=seen, overlap=HOUR)
        with pytest.raises(actions.Stale):
            actions.end_overlap(key, by=owner, revision=seen)
        actions.end_overlap(key, by=owner, revision=rotated.revision)
        with pytest.raises(actions.Stale):
            actions.rename(key, by=owner, revision=rotated.revision, name="meanwhile")

    def test_wanting_what_is_so_already_is_no_conflict_and_no_action(self, owner, key):
        seen, at = key.revision, timezone.now() + DAY
        for _ in range(2):
            actions.rename(key, by=owner, revision=seen, name="twice")
        seen = ApiKey.objects.get().revision
        for _ in range(2):
            actions.change_expiry(key, by=owner, revision=seen, expires_at=at)
        seen = ApiKey.objects.get().revision
        for _ in range(2):
            actions.change_allow_list(key, by=owner, revision=seen, allowed_networks=["10.0.0.1/32"])
        seen = ApiKey.objects.get().revision
        assert [actions.revoke(key, by=owner, revision=seen) for _ in range(2)] == [True, False]
        assert AuditEntry.objects.count() == 4


class TestRotating:
    def test_old_and_new_are_one_key_until_the_overlap_ends(self, owner, issue, heard, clock):
        key, old = issue()
        rotated, new = actions.rotate(key, by=owner, revision=key.revision, overlap=HOUR)
        end = timezone.now() + HOUR
        assert api_keys.find(old) == api_keys.find(new) == key
        assert ends(key) == [None, end]
        assert (rotated.start, rotated.end) == (new[:12], new[-4:])
        assert heard == [("rotated", {"old_start": key.start, "retires_at": end.isoformat()})]
        assert (entry().action, entry().before) == ("rotated", {"start": key.start})
        assert entry().after == {"start": new[:12], "old_retires_at": end.isoformat()}
        assert not api_keys.find_secret(old).is_rotated_out
        clock.move_to(end, tick=False)
        assert api_keys.find_secret(old).is_rotated_out
        assert not api_keys.find_secret(new).is_rotated_out

    def test_without_an_overlap_the_old_one_is_over_at_once(self, owner, issue, heard):
        key, old = issue()
        actions.rotate(key, by=owner, revision=key.revision, overlap=timedelta(0))
        assert api_keys.find_secret(old).is_rotated_out
        assert heard[0][1]["retires_at"] == timezone.now().isoformat()

    def test_rotating_again_prolongs_nothing(self, owner, key):
        key, _ = actions.rotate(key, by=owner, revision=key.revision, overlap=HOUR)
        key, _ = actions.rotate(key, by=owner, revision=key.revision, overlap=7 * DAY)
        now = timezone.now()
        assert ends(key) == [None, now + 7 * DAY, now + HOUR]
        key, _ = actions.rotate(key, by=owner, revision=key.revision, overlap=timedelta(0))
        assert ends(key) == [None, now, now, now]

    def test_a_handful_of_secrets_work_at_once(self, owner, key, clock):
        for _ in range(4):
            key, _text = actions.rotate(key, by=owner, revision=key.revision, overlap=DAY)
        with pytest.raises(actions.NotPossible, match="5 secrets of this key work already"):
            actions.rotate(key, by=owner, revision=key.revision, overlap=HOUR)
        clock.shift(DAY)
        actions.rotate(key, by=owner, revision=key.revision, overlap=HOUR)

    def test_a_leaked_secret_is_replaced_however_many_work(self, owner, key):
        for _ in range(4):
            key, _text = actions.rotate(key, by=owner, revision=key.revision, overlap=DAY)
        actions.rotate(key, by=owner, revision=key.revision, overlap=timedelta(0))
        assert key.secrets.working(timezone.now()).count() == 1

    def test_it_frees_no_suspended_key(self, owner, issue):
        key, _ = issue(status="suspended")
        rotated, new = actions.rotate(key, by=owner, revision=key.revision, overlap=HOUR)
        assert api_keys.find(new).status == rotated.status == "suspended"

    def test_an_expired_key_wants_a_later_end_first(self, owner, issue):
        key, _ = issue(expires_at=timezone.now() - HOUR)
        with pytest.raises(actions.NotPossible, match="later end first"):
            actions.rotate(key, by=owner, revision=key.revision, overlap=HOUR)

    def test_the_old_ones_stop_when_told(self, owner, issue, django_capture_on_commit_callbacks):
        key, old = issue()
        key, _ = actions.rotate(key, by=owner, revision=key.revision, overlap=HOUR)
        key, new = actions.rotate(key, by=owner, revision=key.revision, overlap=DAY)
        oldest, older = KeySecret.objects.order_by("pk")[:2]
        stopped = actions.end_overlap(key, by=owner, revision=key.revision, secret_id=oldest.pk)
        assert stopped.revision > key.revision, "every process reads the key anew"
        assert api_keys.find_secret(old).is_rotated_out
        assert not KeySecret.objects.get(pk=older.pk).is_rotated_out
        now = timezone.now()
        last = AuditEntry.objects.first()
        assert last.action == "ended overlap"
        assert last.before == {"retires_at": {oldest.start: (now + HOUR).isoformat()}}
        assert last.after == {"retires_at": {oldest.start: now.isoformat()}}
        actions.end_overlap(key, by=owner, revision=stopped.revision)
        assert [secret.start for secret in key.secrets.working(now)] == [new[:12]]

    def test_the_newest_secret_is_not_stopped_with_them(self, owner, issue):
        key, text = issue()
        same = actions.end_overlap(key, by=owner, revision=key.revision, secret_id=key.secrets.get().pk)
        assert same.revision == key.revision
        assert not api_keys.find_secret(text).is_rotated_out
        assert not AuditEntry.objects.exists()


class TestEnds:
    def test_an_end_is_set_put_off_and_removed(self, owner, issue):
        key, _ = issue(expires_at=timezone.now() - HOUR)
        assert key.has_expired
        soon = timezone.now() + HOUR
        key = actions.change_expiry(key, by=owner, revision=key.revision, expires_at=soon)
        assert not key.has_expired
        assert entry().after == {"expires_at": soon.isoformat()}
        key = actions.change_expiry(key, by=owner, revision=key.revision, expires_at=None)
        assert ApiKey.objects.get().expires_at is None

    @pytest.mark.parametrize(
        ("ahead", "why"), [(-HOUR, "past"), (timedelta(0), "past"), (4000 * DAY, "ten years")]
    )
    def test_one_that_is_past_or_too_far_is_refused(self, owner, key, ahead, why):
        with pytest.raises(actions.NotPossible, match=why):
            actions.change_expiry(key, by=owner, revision=key.revision, expires_at=timezone.now() + ahead)
        assert ApiKey.objects.get().expires_at is None


class TestRevokedKeys:
    def test_what_is_revoked_cant_be_changed(self, owner, key):
        assert actions.revoke(key, by=owner, reason="leaked")
        assert (entry().before, entry().after, entry().reason) == (
            {"status": "active"},
            {"status": "revoked"},
            "leaked",
        )
        revision = ApiKey.objects.get().revision
        assert revision > key.revision
        for change in (
            lambda: actions.rename(key, by=owner, revision=revision, name="x"),
            lambda: actions.change_expiry(key, by=owner, revision=revision, expires_at=timezone.now() + DAY),
            lambda: actions.change_allow_list(
                key, by=owner, revision=revision, allowed_networks=["10.0.0.1"]
            ),
            lambda: actions.rotate(key, by=owner, revision=None, overlap=HOUR),
        ):
            with pytest.raises(actions.NotPossible, match="revoked, for good"):
                change()
        assert AuditEntry.objects.count() == 1

    def test_a_suspended_key_can_be_renamed_and_revoked(self, owner, issue):
        key, _ = issue(status="suspended")
        key = actions.rename(key, by=owner, revision=key.revision, name="still suspended")
        assert key.status == "suspended"
        assert actions.revoke(key, by=owner, revision=key.revision)
        assert ApiKey.objects.get().status == "revoked"
