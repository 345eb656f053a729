"""The pages about keys, as the server writes them and as it answers what shouldn't have been sent."""

import logging
import re
import uuid
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts import api_keys
from accounts.keys import actions
from accounts.keys.facts import KeyFacts
from accounts.models import ApiKey, AuditEntry, KeySecret, User

pytestmark = pytest.mark.django_db

SECRET = re.compile(r"koala_\w{38}")


@pytest.fixture(autouse=True)
def clock(time_machine):
    time_machine.move_to("2026-03-01T12:00:30+00:00", tick=False)
    return time_machine


@pytest.fixture
def client(owner):
    client = Client()
    client.force_login(owner)
    return client


def page_of(response):
    return response.content.decode()


def words_of(response):
    """The page's text in one line, as it is read."""
    text = re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<head>.*?</head>", "", page_of(response)))
    return re.sub(r"\s+", " ", text)


def create(client, **fields):
    form = {"name": "prod", "ends": "never", "form_id": str(uuid.uuid4()), **fields}
    return client.post("/keys/new/", form)


def change(client, key, what, **fields):
    fields.setdefault("revision", key.revision)
    return client.post(f"/keys/{key.pk}/{what}/", fields)


def overtaken_by(other, action):
    """`action` in a request that began before `other` was done."""

    def late(*args, **kwargs):
        other()
        return action(*args, **kwargs)

    return late


class TestTheList:
    def test_it_begins_empty_and_says_what_to_do(self, client):
        assert "Create your first key" in words_of(client.get("/keys/"))

    def test_a_key_shows_how_it_stands(self, client, issue, known):
        key, _ = issue(name="website", expires_at=timezone.now() + timedelta(days=30))
        key.secrets.update(last_used_at=timezone.now() - timedelta(minutes=7))
        known[key.pk] = KeyFacts("Block", timezone.now() + timedelta(minutes=42), 812, 1000)
        words = words_of(client.get("/keys/"))
        assert f"website {key.start}…{key.end} Blocked until 12:42 UTC in 42 min" in words
        assert "Today 812 of 1,000 almost used up" in words
        assert "Last used 11:53 UTC" in words
        assert "Expires 31 Mar 12:00 UTC" in words

    def test_what_nobody_knows_is_not_guessed(self, client, key):
        words = words_of(client.get("/keys/"))
        assert f"{key.end} Unknown Today Unknown Last used Never Expires Never" in words

    def test_revoked_keys_are_folded_away(self, client, issue):
        for number in range(7):
            issue(name=f"gone {number}", status="revoked")
        page = page_of(client.get("/keys/"))
        assert "None of your keys works any more" in page
        assert "Revoked (7)" in page
        assert "gone 6" in page
        assert "gone 1" not in page
        assert "All 7 revoked keys" in page
        assert "gone 1" in page_of(client.get("/keys/revoked/"))

    def test_its_queries_dont_grow_with_the_keys(self, client, issue, known, django_assert_max_num_queries):
        def queries():
            with django_assert_max_num_queries(8) as asked:
                assert client.get("/keys/").status_code == 200
            return len(asked)

        def more():
            for number in range(10):
                key, _ = issue(name=f"key {number}")
                actions.rotate(key, by=None, revision=None, overlap=timedelta(hours=1))
                known[key.pk] = KeyFacts("Clear", None, 1, 1000)
                issue(status="revoked")

        more()
        client.get("/keys/")  # the session's first page is written down
        few = queries()
        more()
        more()
        assert queries() == few

    def test_many_keys_come_a_page_at_a_time(self, client, issue):
        for number in range(26):
            issue(name=f"number-{number:02}.")
        first, second = page_of(client.get("/keys/")), page_of(client.get("/keys/?page=2"))
        assert ("number-25." in first, "number-00." in first) == (True, False)
        assert ("number-25." in second, "number-00." in second) == (False, True)
        for garbage in ("0", "99", "x", "-1", "9" * 5000):
            assert client.get("/keys/", {"page": garbage}).status_code == 200

    def test_a_name_is_text_whatever_it_says(self, client, issue):
        issue(name="<script>alert(1)</script>")
        assert "<script>alert" not in page_of(client.get("/keys/"))


class TestCreating:
    def test_the_secret_is_in_the_answer_and_nowhere_else(self, client, owner, caplog):
        caplog.set_level(logging.DEBUG)
        response = create(client, name=" website ")
        key = ApiKey.objects.get()
        (text,) = set(SECRET.findall(page_of(response)))
        assert api_keys.find(text) == key
        assert (key.name, key.owner, key.expires_at) == ("website", owner, None)
        assert "no-store" in response.headers["Cache-Control"]
        assert f"Authorization: Bearer {text}" in response.content.decode().replace("&quot;", '"')
        assert text not in caplog.text
        kept = [session.get_decoded() for session in Session.objects.all()]
        assert text not in str([kept, client.cookies, AuditEntry.objects.values()])
        for path in ("/keys/", f"/keys/{key.pk}/"):
            assert text not in page_of(client.get(path))

    @pytest.mark.parametrize(
        ("ends", "expires_at"),
        [
            ({"ends": "never"}, None),
            ({"ends": "30"}, "2026-03-31 12:00:00+00:00"),
            ({"ends": "365"}, "2027-03-01 12:00:00+00:00"),
            ({"ends": "at", "at": "2026-03-01T12:01"}, "2026-03-01 12:01:00+00:00"),
            ({"ends": "at", "at": "2026-03-02T12:01+05:30"}, "2026-03-02 06:31:00+00:00"),
        ],
    )
    def test_it_ends_when_told_in_utc(self, client, ends, expires_at):
        create(client, **ends)
        at = ApiKey.objects.get().expires_at
        assert (at and str(at)) == expires_at

    @pytest.mark.parametrize(
        ("wrong", "field", "why"),
        [
            ({"name": ""}, "name", "Give the key a name."),
            ({"name": "x" * 10_000}, "name", "at most 100 characters; this one has 10,000"),
            ({"name": "a\x00b"}, "name", "Null characters are not allowed."),
            ({"name": "a\nb"}, "name", "one line of text"),
            ({"ends": "at"}, "at", "Say when it ends."),
            ({"ends": "at", "at": "2026-03-01T12:00"}, "at", "in UTC it is 12:00 on 2026-03-01"),
            ({"ends": "at", "at": "0001-01-01T00:00+23:59"}, "at", "This is past"),
            ({"ends": "at", "at": "9999-12-31T23:59-23:59"}, "at", "within ten years"),
            ({"ends": "at", "at": "tomorrow"}, "at", "Enter a valid date/time."),
            ({"ends": "30", "at": "2026-04-01T12:00"}, "at", "choose “At a time of mine”"),
            ({"ends": "whenever"}, "ends", "whenever is not one of the available choices"),
            ({"networks": "10.0.0.1/8"}, "networks", "did you mean 10.0.0.0/8, or 10.0.0.1 alone?"),
            ({"networks": "10.0.0.1," * 10_000}, "networks", "at most 20000 characters"),
        ],
    )
    def test_what_doesnt_fit_is_told_beside_its_field(self, client, wrong, field, why):
        response = create(client, **wrong)
        assert not ApiKey.objects.exists()
        assert why in " ".join(response.context["form"].errors[field])
        assert "is-invalid" in page_of(response) or field == "ends"

    def test_the_same_form_sent_again_leads_to_the_key_it_made(self, client):
        form_id = str(uuid.uuid4())
        create(client, form_id=form_id)
        again = create(client, form_id=form_id, name="other")
        key = ApiKey.objects.get()
        assert again.headers["Location"] == f"/keys/{key.pk}/"
        page = page_of(client.get(again.headers["Location"]))
        assert "This form was sent before" in page
        assert not SECRET.search(page)

    def test_a_form_corrected_after_an_error_is_still_one_form(self, client):
        response = create(client, name="")
        assert str(response.context["form_id"]) in page_of(response)

    def test_a_damaged_form_id_is_replaced(self, client):
        assert create(client, form_id="x'; DROP TABLE").status_code == 200
        assert ApiKey.objects.count() == 1

    def test_an_account_that_is_full_is_told_before_and_after(self, client, settings):
        settings.KEYS_PER_ACCOUNT = 1
        create(client)
        assert "at most 1 keys" in page_of(client.get("/keys/new/"))
        assert "at most 1 keys" in page_of(create(client))
        assert ApiKey.objects.count() == 1

    def test_an_account_deleted_in_that_moment_gets_none(self, client, owner, monkeypatch):
        monkeypatch.setattr(actions, "create", overtaken_by(owner.delete, actions.create))
        assert create(client).status_code == 404

    def test_who_locks_themselves_out_is_warned_and_not_stopped(self, client):
        assert "isn't in its allow-list" not in words_of(create(client, networks="127.0.0.0/8"))
        assert "isn't in its allow-list" in words_of(create(client, networks="10.0.0.0/8"))


class TestOneKey:
    def test_it_shows_its_secrets_settings_and_what_was_done(self, client, owner, key):
        actions.rename(key, by=owner, revision=None, name="website")
        actions.change_allow_list(key, by=owner, revision=None, allowed_networks=["10.0.0.0/8"])
        rotated, _ = actions.rotate(key, by=owner, revision=None, overlap=timedelta(hours=1))
        response = client.get(f"/keys/{key.pk}/")
        words = words_of(response)
        assert f"{rotated.start}…{rotated.end} Newest" in words
        assert f"{key.start}…{key.end} Old" in words
        assert "Stops 13:00 UTC in 1 h" in words
        assert "Renamed by you From “prod” to “website”" in words
        assert "Changed allow-list by you Added 10.0.0.0/8" in words
        assert f"Rotated by you {rotated.start}… follows {key.start}…" in words
        assert "Not from where you are: 127.0.0.1" in words
        assert f'href="/?key={rotated.start}"' in page_of(response)

    def test_staff_are_not_named_nor_quoted(self, client, key):
        staff = User.objects.create_superuser("root@example.com")
        actions.revoke(key, by=staff, reason="a customer of ours found it on GitHub")
        page = page_of(client.get(f"/keys/{key.pk}/"))
        assert "<strong>Revoked</strong> by staff" in page
        assert "root@example.com" not in page
        assert "GitHub" not in page

    def test_a_revoked_key_has_nothing_to_change(self, client, owner, key):
        actions.revoke(key, by=owner)
        page = page_of(client.get(f"/keys/{key.pk}/"))
        assert "It is refused, for good" in page
        assert "<form" not in page.partition("<main")[2]
        for what in ("rotate", "revoke"):
            response = client.get(f"/keys/{key.pk}/{what}/")
            assert response.headers["Location"] == f"/keys/{key.pk}/"

    def test_its_queries_dont_grow_with_its_past(self, client, owner, key, django_assert_max_num_queries):
        def queries():
            with django_assert_max_num_queries(10) as asked:
                client.get(f"/keys/{key.pk}/")
            return len(asked)

        for _ in range(2):
            actions.rotate(key, by=owner, revision=None, overlap=timedelta(0))
        client.get("/keys/")
        few = queries()
        for _ in range(20):
            actions.rotate(key, by=owner, revision=None, overlap=timedelta(0))
        assert queries() == few


class TestChanging:
    def test_each_setting_is_saved_and_told(self, client, key):
        def saved(what, **fields):
            now = ApiKey.objects.get()
            response = change(client, now, what, **fields)
            assert response.headers["Location"] == f"/keys/{key.pk}/"
            return words_of(client.get(f"/keys/{key.pk}/"))

        assert "It is called “website” now." in saved("rename", **{"name-name": "website"})
        assert "It expires on 2026-03-31 at 12:00 UTC." in saved("expiry", **{"expiry-ends": "30"})
        assert "It never expires." in saved("expiry", **{"expiry-ends": "never"})
        networks = {"allow-list-networks": "10.0.0.7\n2001:db8::/32"}
        assert "It may be used from 2 networks, and no other." in saved("allow-list", **networks)
        assert ApiKey.objects.get().allowed_networks == ["10.0.0.7", "2001:db8::/32"]
        assert "It may be used from anywhere." in saved("allow-list")

    def test_an_end_left_as_it_is_keeps_its_seconds(self, client, issue):
        key, _ = issue(expires_at=timezone.now() + timedelta(days=9))
        form = client.get(f"/keys/{key.pk}/").context["expiry_form"]
        assert 'value="2026-03-10T12:00"' in str(form["at"])
        change(client, key, "expiry", **{"expiry-ends": "at", "expiry-at": "2026-03-10T12:00"})
        assert ApiKey.objects.get().expires_at == key.expires_at
        assert not AuditEntry.objects.exists()

    def test_without_scripts_the_old_time_may_stay_beside_another_choice(self, client, issue):
        key, _ = issue(expires_at=timezone.now() + timedelta(days=9))
        change(client, key, "expiry", **{"expiry-ends": "never", "expiry-at": "2026-03-10T12:00"})
        assert ApiKey.objects.get().expires_at is None

    def test_two_people_at_once_lose_nothing(self, client, owner, key):
        actions.rename(key, by=owner, revision=None, name="first")
        response = change(client, key, "rename", **{"name-name": "second"})
        now = ApiKey.objects.get()
        assert now.name == "first"
        page = page_of(response)
        assert "so nothing was saved" in page
        assert "<h1>first</h1>" in page
        assert 'value="second"' in page, "what was typed is still there"
        assert f'name="revision" value="{now.revision}"' in page, "and may be sent again"
        change(client, now, "rename", **{"name-name": "second"})
        assert ApiKey.objects.get().name == "second"

    def test_a_key_revoked_meanwhile_says_so(self, client, owner, key):
        actions.revoke(key, by=owner)
        response = change(client, key, "rename", **{"name-name": "second"})
        assert "This key is revoked" in page_of(client.get(response.headers["Location"]))

    @pytest.mark.parametrize("revision", ["", "x", "-1", "9" * 5000])
    def test_a_form_without_its_revision_changes_nothing(self, client, key, revision):
        for what in ("rename", "expiry", "allow-list", "rotate", "revoke"):
            response = change(
                client,
                key,
                what,
                **{
                    "revision": revision,
                    "name-name": "x",
                    "expiry-ends": "30",
                    "allow-list-networks": "10.0.0.1",
                    "overlap": "0",
                },
            )
            assert response.status_code in (200, 302)
        assert ApiKey.objects.get().revision == key.revision
        assert KeySecret.objects.count() == 1

    @pytest.mark.parametrize(
        ("what", "fields", "why"),
        [
            ("rename", {"name-name": "x" * 10_000}, "this one has 10,000"),
            ("expiry", {"expiry-ends": "at", "expiry-at": "2020-01-01T00:00"}, "This is past"),
            ("allow-list", {"allow-list-networks": "10.0.0.1/8"}, "did you mean 10.0.0.0/8"),
        ],
    )
    def test_what_doesnt_fit_is_told_on_the_keys_page(self, client, key, what, fields, why):
        response = change(client, key, what, **fields)
        assert why in page_of(response)
        assert ApiKey.objects.get().revision == key.revision


class TestAnAccountDeletedInThatMoment:
    @pytest.mark.parametrize(
        ("what", "fields"),
        [("rename", {"name-name": "new"}), ("rotate", {"overlap": "0"}), ("revoke", {})],
        ids=["rename", "rotate", "revoke"],
    )
    def test_its_keys_are_not_there(self, client, owner, key, what, fields, monkeypatch):
        monkeypatch.setattr(actions, what, overtaken_by(owner.delete, getattr(actions, what)))
        assert change(client, key, what, **fields).status_code == 404


class TestRotating:
    def test_the_new_secret_is_shown_once_and_the_old_ones_end_told(self, client, issue):
        key, old = issue()
        response = change(client, key, "rotate", overlap="1")
        (text,) = set(SECRET.findall(page_of(response)))
        assert text != old
        assert api_keys.find(text) == key
        assert "no-store" in response.headers["Cache-Control"]
        assert f"The old one, {key.start}…{key.end} , stops 13:00 UTC in 1 h" in words_of(response)

    def test_sent_twice_it_rotates_once(self, client, key):
        change(client, key, "rotate", overlap="24")
        again = change(client, key, "rotate", overlap="24")
        assert "so it was not rotated" in page_of(again)
        assert not SECRET.search(page_of(again))
        assert KeySecret.objects.count() == 2

    @pytest.mark.parametrize("overlap", ["", "2", "-1", "1e9", "8760"])
    def test_no_other_overlap_is_taken(self, client, key, overlap):
        assert change(client, key, "rotate", overlap=overlap).context["form"].errors
        assert KeySecret.objects.count() == 1

    def test_an_old_secret_is_stopped(self, client, owner, issue):
        key, old = issue()
        rotated, _ = actions.rotate(key, by=owner, revision=None, overlap=timedelta(hours=1))
        secret = api_keys.find_secret(old)
        stale = change(client, key, f"stop/{secret.pk}")
        assert "nothing was stopped" in page_of(client.get(stale.headers["Location"]))
        assert not api_keys.find_secret(old).is_rotated_out
        done = change(client, rotated, f"stop/{secret.pk}")
        assert f"{secret} has stopped." in page_of(client.get(done.headers["Location"]))
        assert api_keys.find_secret(old).is_rotated_out

    def test_of_many_that_stopped_the_newest_are_shown(self, client, owner, key):
        for _ in range(7):
            actions.rotate(key, by=owner, revision=None, overlap=timedelta(0))
        words = words_of(client.get(f"/keys/{key.pk}/"))
        assert "Rotated out (7)" in words
        assert "The newest 5 are listed." in words


class TestRevoking:
    def test_it_says_first_what_will_break(self, client, key, known):
        key.secrets.update(last_used_at=timezone.now() - timedelta(minutes=7))
        known[key.pk] = KeyFacts("Clear", None, 1234, None)
        response = client.get(f"/keys/{key.pk}/revoke/")
        assert "Last used 11:53 UTC Requests today 1,234" in words_of(response)
        assert re.search(rf'<a [^>]*href="/keys/{key.pk}/" autofocus>Cancel</a>', page_of(response))
        assert ApiKey.objects.get().status == "active"

    def test_it_is_revoked_by_a_post(self, client, key):
        assert change(client, key, "revoke").status_code == 302
        assert ApiKey.objects.get().status == "revoked"
        assert change(client, key, "revoke").status_code == 302
        assert AuditEntry.objects.count() == 1

    def test_a_key_changed_meanwhile_is_looked_at_again(self, client, owner, key):
        actions.rename(key, by=owner, revision=None, name="not this one!")
        response = change(client, key, "revoke")
        assert response.headers["Location"] == f"/keys/{key.pk}/revoke/"
        assert ApiKey.objects.get().status == "active"


class TestStrangers:
    PATHS = ("", "rename/", "expiry/", "allow-list/", "rotate/", "revoke/", "stop/{secret}/")

    def paths(self, key):
        return [f"/keys/{key.pk}/" + path.format(secret=key.secrets.get().pk) for path in self.PATHS]

    def test_anothers_key_is_not_there_whatever_is_asked(self, client, issue):
        key, _ = issue(owner=User.objects.create_user("otto@example.com"))
        for path in self.paths(key):
            for method in (client.get, client.head, client.post):
                assert method(path, {"revision": key.revision}).status_code == 404, path
        assert ApiKey.objects.get().revision == key.revision

    def test_a_number_that_no_key_can_have_is_not_there(self, client):
        assert client.get(f"/keys/{10**30}/").status_code == 404
        assert client.post(f"/keys/{10**30}/revoke/").status_code == 404

    def test_anothers_secret_is_not_there(self, client, issue):
        mine, _ = issue()
        theirs, _ = issue(owner=User.objects.create_user("otto@example.com"))
        assert change(client, mine, f"stop/{theirs.secrets.get().pk}").status_code == 404

    def test_whoever_isnt_signed_in_signs_in_first(self, key):
        for path in ["/keys/", "/keys/new/", "/keys/revoked/", *self.paths(key)]:
            for method in (Client().get, Client().post):
                location = method(path).headers["Location"]
                assert location == f"/accounts/login/?next={path}"

    def test_what_only_a_post_does_a_get_leads_to_the_key(self, client, key):
        """People come by GET who had to sign in again when they sent the form."""
        for what in ("rename", "expiry", "allow-list", f"stop/{key.secrets.get().pk}"):
            response = client.get(f"/keys/{key.pk}/{what}/", {"revision": key.revision, "name-name": "x"})
            assert response.headers["Location"] == f"/keys/{key.pk}/"
        for what in ("rotate", "revoke"):
            assert client.get(f"/keys/{key.pk}/{what}/", {"overlap": "0"}).status_code == 200
        assert ApiKey.objects.get().revision == key.revision

    def test_other_methods_are_refused(self, client, key):
        for path in ["/keys/", "/keys/new/", *self.paths(key)]:
            assert client.put(path).status_code == client.delete(path).status_code == 405

    def test_a_post_from_elsewhere_is_refused(self, owner, key):
        client = Client(enforce_csrf_checks=True)
        client.force_login(owner)
        for path in ["/keys/new/", *self.paths(key)[1:]]:
            assert client.post(path, {"revision": key.revision}).status_code == 403
        assert ApiKey.objects.get().revision == key.revision
