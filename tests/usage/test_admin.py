"""Django's admin for the ladder, the history, what was used and the mail, as staff use it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from accounts.keys.actions import rotate
from accounts.models import ApiKey, User
from tests.admin_pages import act, change, said
from tests.servers import limit_store as started_store
from tests.servers import valkey_binary
from usage.escalation.reactivation import reactivate, suspend
from usage.limits import health
from usage.limits.store import limit_store
from usage.models import (
    EscalationEvent,
    EscalationPolicy,
    EscalationState,
    EscalationStep,
    Notice,
    RateHit,
    UsageDay,
    UsageHour,
)
from usage.notices import owe
from usage.subjects import bucket_of, key_subject_id

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

MODELS = ["escalationpolicy", "escalationstep", "escalationstate", "escalationevent", "ratehit", "usagehour"]
MODELS += ["usageday", "notice"]
KEYS = "/admin/accounts/apikey/"
STATES = "/admin/usage/escalationstate/"


def user(email, *permissions):
    made = User.objects.create_user(email, "correct horse battery", is_staff=True)
    for permission in permissions:
        app, codename = permission.split(".")
        made.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return made


@pytest.fixture
def boss(db):
    return User.objects.create_superuser("root@example.com", "correct horse battery")


@pytest.fixture
def staff(client, boss):
    client.force_login(boss)
    return client


@pytest.fixture
def key(issue):
    return issue()[0]


def status(key):
    return ApiKey.objects.get(pk=key.pk).status


class TestSuspendingAndReactivating:
    def test_a_page_says_what_will_happen_before_it_does(self, staff, key):
        page = act(staff, "suspend_keys", key).content.decode()
        assert "answered with 403 from the next request on" in page
        assert f"{key} of olivia@example.com: active" in page
        assert "csrfmiddlewaretoken" in page
        assert status(key) == "active"

    def test_staff_suspend_and_the_history_says_who_and_why(self, staff, boss, key):
        response = act(staff, "suspend_keys", key, reason="Resells our service.")
        assert said(response) == [f"Suspended: {key}."]
        assert status(key) == "suspended"
        event = EscalationEvent.objects.get()
        assert (event.cause, event.by, event.reason) == ("suspended", boss, "Resells our service.")
        assert Notice.objects.get().kind == "suspension"
        history = staff.get(f"{KEYS}{key.pk}/history/").content.decode()
        assert "Suspended: Resells our service." in history

    @pytest.mark.parametrize(("action", "after"), [("reactivate_on_probation", 3), ("reactivate_clean", 0)])
    def test_staff_reactivate(self, staff, boss, key, action, after):
        suspend(key, by=None, reason="a test")
        act(staff, action, key, reason="They fixed it.")
        assert status(key) == "active"
        event = EscalationEvent.objects.latest("id")
        assert (event.cause, event.after, event.by, event.reason) == (
            *("reactivated", after),
            *(boss, "They fixed it."),
        )

    @pytest.mark.parametrize("action", ["suspend_keys", "reactivate_on_probation", "reactivate_clean"])
    @pytest.mark.parametrize("reason", ["", "   "])
    def test_without_a_reason_nothing_happens_and_the_page_asks_again(self, staff, key, action, reason):
        before = status(key)
        response = act(staff, action, key, reason=reason)
        assert "This field is required" in response.content.decode()
        assert status(key) == before
        assert not EscalationEvent.objects.exists()

    def test_what_isnt_possible_is_said_of_each_key_and_the_others_are_done(self, staff, issue):
        keys = [issue()[0], issue(status=ApiKey.Status.REVOKED)[0]]
        response = act(staff, "suspend_keys", *keys, reason="a test")
        assert sorted(map(status, keys)) == ["revoked", "suspended"]
        assert any("is refused for good" in message for message in said(response))

    def test_a_place_on_the_ladder_is_a_way_to_its_key(self, staff, key):
        suspend(key, by=None, reason="a test")
        state = EscalationState.objects.get()
        act(staff, "reactivate_clean", state, reason="They fixed it.", where=STATES)
        assert status(key) == "active"

    def test_an_address_is_neither_suspended_nor_reactivated(self, staff):
        state = EscalationState.objects.create(
            subject="ip:192.0.2.7", bucket=0, escalation=4, changed_at=timezone.now()
        )
        response = act(staff, "suspend_keys", state, reason="a test", where=STATES)
        assert "it changes hands" in said(response)[0]
        assert not EscalationEvent.objects.exists()

    @pytest.mark.parametrize("where", [KEYS, STATES])
    def test_only_those_who_may_see_the_actions(self, client, key, where):
        suspend(key, by=None, reason="a test")
        seen = {}
        for permission in (
            None,
            "accounts.change_apikey",
            "accounts.suspend_apikey",
            "accounts.revoke_apikey",
        ):
            permissions = ["accounts.view_apikey", "usage.view_escalationstate"]
            client.force_login(user(f"{permission}@example.com", *permissions, *filter(None, [permission])))
            page = client.get(where).content.decode()
            seen[permission] = [
                action
                for action in ("suspend_keys", "reactivate_on_probation", "reactivate_clean", "revoke")
                if f'value="{action}"' in page
            ]
        assert seen == {
            None: [],
            "accounts.change_apikey": [],
            "accounts.suspend_apikey": ["suspend_keys", "reactivate_on_probation", "reactivate_clean"],
            "accounts.revoke_apikey": ["revoke"] if where == KEYS else [],
        }

    @pytest.mark.parametrize("where", [KEYS, STATES])
    def test_nobody_else_may_post_them(self, client, issue, where):
        key, suspended = issue()[0], issue()[0]
        suspend(suspended, by=None, reason="a test")
        EscalationState.objects.create(
            subject=key_subject_id(key.pk), key=key, bucket=0, changed_at=timezone.now()
        )
        rows = [key, suspended] if where == KEYS else [key.escalation_state, suspended.escalation_state]
        client.force_login(user("nosy@example.com", "accounts.view_apikey", "usage.view_escalationstate"))
        for action in ("suspend_keys", "reactivate_on_probation", "reactivate_clean", "revoke"):
            for reason in (None, "a test"):
                act(client, action, *rows, reason=reason, where=where)
        assert (status(key), status(suspended)) == ("active", "suspended")

    def test_a_page_of_elsewhere_cant_post_them(self, client, boss, key):
        from django.test import Client

        strict = Client(enforce_csrf_checks=True)
        strict.force_login(boss)
        assert act(strict, "suspend_keys", key, reason="a test").status_code == 403
        assert status(key) == "active"


class TestHistory:
    @pytest.mark.parametrize("model", MODELS[2:])
    def test_what_the_panel_wrote_isnt_added_edited_or_deleted(self, staff, rows, model):
        row = rows[model]
        where = f"/admin/usage/{model}/"
        assert staff.get(f"{where}add/").status_code == 403
        assert staff.post(f"{where}{row.pk}/change/", {"subject": "k:1"}).status_code == 403
        assert staff.post(f"{where}{row.pk}/delete/", {"post": "yes"}).status_code == 403
        act(staff, "delete_selected", row, where=where)
        staff.post(where, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
        before = {field.attname: getattr(row, field.attname) for field in row._meta.fields}
        row.refresh_from_db()
        assert before == {field.attname: getattr(row, field.attname) for field in row._meta.fields}

    def test_it_says_by_whom_and_why(self, staff, boss, key):
        suspend(key, by=boss, reason="Resells our service.")
        page = staff.get("/admin/usage/escalationevent/").content.decode()
        for words in ("root@example.com", "Resells our service.", "suspended by staff", "0 → 5"):
            assert words in page

    def test_it_is_found_by_key_owner_colleague_and_reason(self, staff, boss, issue):
        key, other = issue()[0], issue(owner=User.objects.create_user("ben@example.com"))[0]
        suspend(key, by=boss, reason="Resells our service.")
        suspend(other, by=None, reason="Spam.")
        for term in (key.start, "olivia", "root@example.com", "Resells", key_subject_id(key.pk)):
            assert listed(staff, "escalationevent", q=term) == [EscalationEvent.objects.get(key=key).pk], term


def listed(client, model, app="usage", **query):
    response = client.get(f"/admin/{app}/{model}/", query)
    assert response.status_code == 200
    return [row.pk for row in response.context["cl"].result_list]


@pytest.fixture
def rows(key):
    """One row of everything that the panel writes, about the same key."""
    subject, now = key_subject_id(key.pk), datetime(2026, 3, 1, 12, tzinfo=UTC)
    reactivate_later = timezone.now() + timedelta(hours=1)
    owe(Notice.Kind.SUSPENSION, key, "suspension:1", {"by_staff": True, "reason": "a test"})
    about = {"subject": subject, "start": now, "admitted": 7, "minute_hits": 3}
    return {
        "escalationstate": EscalationState.objects.create(
            subject=subject,
            key=key,
            bucket=bucket_of(subject),
            escalation=3,
            until=reactivate_later,
            changed_at=now,
        ),
        "escalationevent": EscalationEvent.objects.create(
            event_id="1", subject=subject, key=key, at=now, cause="strikes", before=2, after=3
        ),
        "ratehit": RateHit.objects.create(
            subject=subject,
            minute=now,
            kind="minute",
            route="convert",
            count=12,
            address="192.0.2.7",
            user_agent="curl/8",
        ),
        "usagehour": UsageHour.objects.create(**about),
        "usageday": UsageDay.objects.create(**about, bucket=bucket_of(subject)),
        "notice": Notice.objects.get(),
    }


class TestLists:
    @pytest.mark.parametrize("model", MODELS)
    def test_every_page_opens(self, staff, rows, model):
        where = f"/admin/usage/{model}/"
        assert staff.get(where, follow=True).status_code == 200
        pk = rows[model].pk if model in rows else 1
        assert staff.get(f"{where}{pk}/change/").status_code == 200

    @pytest.mark.parametrize("model", ["escalationstate", "ratehit", "usagehour", "usageday", "notice"])
    def test_a_key_is_found_by_its_start_and_its_owner(self, staff, rows, key, model):
        for term in (key.start, "olivia@example.com", f"prod {key.start}"):
            assert listed(staff, model, q=term) == [rows[model].pk]
        assert listed(staff, model, q="ben@example.com") == []

    @pytest.mark.parametrize("model", [*MODELS[2:], "apikey"])
    def test_a_rotated_key_is_found_by_the_start_of_each_secret_it_had_and_listed_once(
        self, staff, boss, rows, key, model
    ):
        rotated = key
        for _ in range(2):
            rotated, _ = rotate(rotated, by=boss, revision=None, overlap=timedelta(hours=1))
        app, pk = ("accounts", key.pk) if model == "apikey" else ("usage", rows[model].pk)
        for start in [key.start, *key.secrets.values_list("start", flat=True)]:
            assert listed(staff, model, app, q=start).count(pk) == 1, start
        assert listed(staff, model, app, q=f"koala_ {rotated.name}").count(pk) == 1

    def test_hits_are_found_by_address_and_say_whose_they_are(self, staff, rows):
        assert listed(staff, "ratehit", q="192.0.2.7") == [rows["ratehit"].pk]
        page = staff.get("/admin/usage/ratehit/").content.decode()
        for words in ("olivia@example.com", "192.0.2.7", "curl/8"):
            assert words in page

    def test_places_are_filtered_by_what_they_are_now(self, staff, rows, issue):
        blocked, suspended = rows["escalationstate"], issue()[0]
        suspend(suspended, by=None, reason="a test")
        EscalationState.objects.filter(key=suspended).update(is_pending=True)
        pk = suspended.escalation_state.pk
        assert listed(staff, "escalationstate", now="blocked") == [blocked.pk]
        assert listed(staff, "escalationstate", now="suspended") == [pk]
        assert listed(staff, "escalationstate", now="pending") == [pk]
        assert "3 Temporary block" in staff.get(STATES).content.decode()

    def test_a_list_of_many_keys_asks_no_more_than_one_of_few(
        self, staff, rows, issue, django_assert_max_num_queries
    ):
        now = timezone.now()
        for _ in range(20):
            key, _ = issue()
            RateHit.objects.create(
                subject=key_subject_id(key.pk), minute=now, kind="minute", route="convert", count=1
            )
        with django_assert_max_num_queries(14):
            staff.get("/admin/usage/ratehit/")

    def test_the_list_of_keys_asks_no_more_of_many_than_of_few(
        self, staff, issue, django_assert_max_num_queries
    ):
        for number in range(12):
            issue(owner=User.objects.create_user(f"owner{number}@example.com"))
        with django_assert_max_num_queries(9):
            page = staff.get(KEYS).content.decode()
        assert "owner11@example.com" in page

    def test_the_list_of_keys_shows_the_ladder(self, staff, rows):
        page = staff.get(KEYS).content.decode()
        assert '<td class="field-escalation">3</td>' in page


class TestTheLaddersNumbers:
    def test_the_policy_is_one_page(self, staff):
        assert staff.get("/admin/usage/escalationpolicy/")["Location"].endswith("/1/change/")
        assert staff.get("/admin/usage/escalationpolicy/add/").status_code == 403
        assert staff.post("/admin/usage/escalationpolicy/1/delete/", {"post": "yes"}).status_code == 403

    def test_a_changed_number_is_a_new_revision(self, staff):
        before = EscalationPolicy.objects.get()
        change(staff, before, strike_refusals="9")
        after = EscalationPolicy.objects.get()
        assert after.strike_refusals == 9
        assert after.revision > before.revision

    @pytest.mark.parametrize(
        ("field", "worst"),
        [
            ("probation", 1),  # there is nothing to remember below tier 2
            ("decay_hours", 10**9),  # no page could tell when
            ("forgive_minutes", 10**12),
            ("warned_minutes", 10**12),
            ("grace_seconds", 10**12),
        ],
    )
    def test_a_number_that_makes_no_sense_is_refused(self, staff, field, worst):
        policy = EscalationPolicy.objects.get()
        page = change(staff, policy, **{field: str(worst)})
        assert "Ensure this value is" in page.content.decode()
        assert EscalationPolicy.objects.get().revision == policy.revision

    @pytest.mark.parametrize(
        ("number", "strikes", "seconds", "complaint"),
        [
            (1, "", "", None),
            (1, "3", "", "this step takes no strikes"),
            (1, "", "60", "This step blocks nothing"),
            (2, "4", "600", None),
            (2, "", "600", "Say how many strikes lead here"),
            (3, "2", "", "Say for how long this step blocks"),
            (4, "0", "60", "greater than or equal to 1"),
            (4, "2", "1000000000000", "less than or equal to 31622400"),
            (5, "3", "", None),
            (5, "", "", "Say how many strikes lead here"),
            (5, "2", "60", "lasts until a person ends it"),
        ],
    )
    def test_a_step_has_the_numbers_it_needs_and_no_others(self, staff, number, strikes, seconds, complaint):
        step = EscalationStep.objects.get(number=number)
        response = change(staff, step, name="Renamed", strikes=strikes, block_seconds=seconds)
        step.refresh_from_db()
        if complaint is None:
            assert (step.name, str(step.strikes or ""), str(step.block_seconds or "")) == (
                *("Renamed", strikes),
                seconds,
            )
        else:
            assert complaint in response.content.decode()
            assert step.name != "Renamed"
        assert EscalationStep.objects.count() == 5

    def test_steps_are_neither_added_nor_deleted(self, staff):
        assert staff.get("/admin/usage/escalationstep/add/").status_code == 403
        assert staff.post("/admin/usage/escalationstep/3/delete/", {"post": "yes"}).status_code == 403


class TestMail:
    def test_it_is_filtered_by_its_outcome(self, staff, key):
        notices = {}
        for name, fields in {
            "waits": {},
            "failing": {"error": "550 no such user", "attempts": 3},
            "given_up": {"given_up_at": timezone.now(), "error": "The account is not active."},
            "sent": {"sent_at": timezone.now()},
        }.items():
            notices[name] = Notice.objects.create(once=name, kind="suspension", key=key, **fields).pk
        assert set(listed(staff, "notice", outcome="unsent")) == {notices["waits"], notices["failing"]}
        assert listed(staff, "notice", outcome="failing") == [notices["failing"]]
        assert listed(staff, "notice", outcome="given_up") == [notices["given_up"]]
        assert "550 no such user" in staff.get("/admin/usage/notice/").content.decode()

    def test_what_waits_is_tried_again_at_once(self, staff, key):
        later = timezone.now() + timedelta(hours=1)
        sent = Notice.objects.create(once="1", kind="suspension", key=key, sent_at=later, due_at=later)
        waits = Notice.objects.create(once="2", kind="suspension", key=key, due_at=later)
        act(staff, "try_again", sent, waits, where="/admin/usage/notice/")
        assert list(Notice.objects.due(timezone.now())) == [waits]
        sent.refresh_from_db()
        assert sent.due_at == later

    def test_who_may_only_look_cant_have_it_tried_again(self, client, key):
        later = timezone.now() + timedelta(hours=1)
        notice = Notice.objects.create(once="1", kind="suspension", key=key, due_at=later)
        client.force_login(user("nosy@example.com", "usage.view_notice"))
        act(client, "try_again", notice, where="/admin/usage/notice/")
        assert not Notice.objects.due(timezone.now()).exists()


class TestTheBanner:
    @pytest.fixture(autouse=True)
    def store_elsewhere(self, monkeypatch, tmp_path):
        """The limit store's address is one where nothing listens; each page asks anew."""
        monkeypatch.setattr(health, "REMEMBERED_SECONDS", 0)
        monkeypatch.setattr(limit_store(), "url", f"unix://{tmp_path}/v.sock")

    def test_every_page_says_that_the_limit_store_cant_be_reached(self, staff):
        for page in ("/admin/", KEYS, "/admin/usage/notice/"):
            assert "The limit store can't be reached" in staff.get(page).content.decode()

    def test_it_is_gone_when_the_store_is_back(self, staff, tmp_path):
        assert "be reached" in staff.get("/admin/").content.decode()
        with started_store(valkey_binary(), tmp_path / "v.sock"):
            assert "be reached" not in staff.get("/admin/").content.decode()


def test_reactivating_what_stands_well_is_explained(staff, key):
    response = act(staff, "reactivate_clean", key, reason="a test")
    assert "neither suspended nor blocked" in said(response)[0]
    with pytest.raises(Exception, match="neither"):
        reactivate(key, by=None, reason="a test")
