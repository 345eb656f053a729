"""The audit log: what is written, by whom it is read, and that nobody below a superuser changes it."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

from accounts import api_keys, audit, signals
from accounts.csv_export import defused
from accounts.models import ApiKey, AuditEntry, EndpointLimit, Tier, User
from accounts.models.audit_entry import AppendOnly
from accounts.snapshots import difference, snapshot_of
from tests.accounts.conftest import PASSWORD, browser_of
from tests.admin_pages import act, change, change_page, errors, filled_in, list_page
from usage.escalation.reactivation import NotPossible, reactivate, suspend
from usage.models import EscalationPolicy, EscalationState, EscalationStep

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
LIST = "/admin/accounts/auditentry/"
CSV = f"{LIST}csv/"


@pytest.fixture
def free():
    return Tier.objects.get(slug="free")


@pytest.fixture
def an_entry(free):
    return audit.record(
        *("changed", free),
        **{"by": None, "before": {"minute": 30}, "after": {"minute": 20}, "reason": "Too many."},
    )


@pytest.fixture
def told():
    """What the apps above are told of keys."""
    news = []

    def listen(key, action, **_):
        news.append((key, action))

    signals.key_changed.connect(listen)
    yield news
    signals.key_changed.disconnect(listen)


class TestSnapshots:
    def test_values_are_plain_and_say_what_they_refer_to(self, a_key):
        a_key.expires_at = datetime(2027, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
        facts = snapshot_of(a_key)
        assert json.loads(json.dumps(facts)) == facts
        assert (facts["expires_at"], facts["tier"], facts["owner"], facts["status"]) == (
            *("2027-01-01T00:00:00+00:00", "Free"),
            *("olivia@example.com", "active"),
        )
        assert (facts["minute_override"], facts["allowed_networks"]) == (None, [])

    def test_what_nobody_may_read_is_not_in_them(self, a_key):
        user = User.objects.create_superuser("root@example.com", PASSWORD)
        user.groups.add(*Group.objects.all())
        facts = snapshot_of(user)
        assert facts["groups"] == ["Limits", "Support"]
        assert "password" not in facts
        assert not {"digest", "pepper_version"} & set(snapshot_of(a_key.secrets.get()))

    def test_their_difference_is_exactly_what_changed(self):
        before, after = {"a": 1, "b": None, "c": [1], "gone": 1}, {"a": 1, "b": 2, "c": [1, 2], "new": 0}
        assert difference(before, after) == (
            {"b": None, "c": [1], "gone": 1},
            {"b": 2, "c": [1, 2], "new": 0},
        )


class TestAppendOnly:
    def test_an_entry_is_written_once(self, an_entry):
        an_entry.reason = "Nothing to see."
        with pytest.raises(AppendOnly):
            an_entry.save()
        with pytest.raises(AppendOnly):
            AuditEntry.objects.filter(pk=an_entry.pk).update(reason="Nothing to see.")
        with pytest.raises(AppendOnly):
            AuditEntry.objects.bulk_update([an_entry], ["reason"])
        assert AuditEntry.objects.get().reason == "Too many."

    def test_it_outlives_whom_and_what_it_names(self, a_superuser):
        person, gold = (
            User.objects.create_user("old@example.com"),
            Tier.objects.create(slug="gold", name="Gold"),
        )
        audit.record("added", gold, by=person)
        person.delete()
        gold.delete()
        entry = AuditEntry.objects.get()
        assert (entry.actor, entry.actor_label, entry.target_label) == (None, "old@example.com", "Gold")
        assert "old@example.com" in a_superuser.get(LIST).content.decode()

    def test_nobody_below_superuser_adds_changes_or_deletes_one(self, an_entry):
        clerk = User.objects.create_user("clerk@example.com", is_staff=True)
        clerk.user_permissions.set(Permission.objects.filter(content_type__model="auditentry"))
        client = browser_of(clerk)
        assert client.get(change_page(an_entry)).status_code == 200
        assert client.post(change_page(an_entry), {"reason": "x"}).status_code == 403
        assert client.post(f"{LIST}add/", {"action": "x"}).status_code == 403
        assert client.post(f"{LIST}{an_entry.pk}/delete/", {"post": "yes"}).status_code == 403
        act(client, "delete_selected", an_entry, post="yes")
        assert list(AuditEntry.objects.all()) == [an_entry]
        assert AuditEntry.objects.get().reason == "Too many."

    @pytest.mark.parametrize("way", ["page", "list"])
    def test_a_superuser_deletes_one_and_that_is_written_down_without_what_it_told(
        self, a_superuser, an_entry, way
    ):
        pk = str(an_entry.pk)
        assert a_superuser.post(change_page(an_entry), {"reason": "x"}).status_code == 403
        if way == "page":
            a_superuser.post(f"{LIST}{pk}/delete/", {"post": "yes"})
        else:
            act(a_superuser, "delete_selected", an_entry, post="yes")
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.target_type, entry.target_id) == ("deleted", "accounts.auditentry", pk)
        assert (entry.actor, entry.before["actor_label"]) == (a_superuser.person, "command line")
        assert "Too many." not in json.dumps(entry.before)


class TestForms:
    def test_exactly_what_changed_is_written_with_its_reason(self, a_superuser, a_key):
        form = {"name": "new", "expires_at_0": "2099-01-01", "expires_at_1": "00:00:00"}
        assert change(a_superuser, a_key, reason="  They asked.  ", **form).status_code == 302
        entry = AuditEntry.objects.get()
        assert (entry.actor, entry.actor_label) == (a_superuser.person, "root@example.com")
        assert (entry.action, entry.reason) == ("changed", "They asked.")
        assert entry.before == {"name": "prod", "expires_at": None}
        assert entry.after == {"name": "new", "expires_at": "2099-01-01T00:00:00+00:00"}

    @pytest.mark.parametrize("model", [Tier, EndpointLimit, EscalationPolicy, EscalationStep, User, Group])
    def test_a_change_that_changes_nothing_saves_and_writes_nothing(self, a_superuser, model):
        row = model.objects.first()
        before, ladder = snapshot_of(row), EscalationPolicy.objects.get().revision
        revision = getattr(row, "revision", None)
        assert change(a_superuser, row, reason="Just looking.").status_code == 302
        row = model.objects.get(pk=row.pk)
        assert (snapshot_of(row), getattr(row, "revision", None)) == (before, revision)
        assert EscalationPolicy.objects.get().revision == ladder
        assert not AuditEntry.objects.exists()
        history = a_superuser.get(change_page(row).replace("change", "history")).content.decode()
        assert "root@example.com" not in history.partition('id="content-main"')[2]

    @pytest.mark.parametrize("reason", ["", "   ", "x" * 1001])
    def test_without_a_reason_nothing_is_saved(self, a_superuser, free, reason):
        response = change(a_superuser, free, reason=reason, minute="20")
        assert "reason" in response.context["adminform"].form.errors
        assert Tier.objects.get(slug="free").minute == 30
        assert not AuditEntry.objects.exists()

    def test_a_reason_and_what_was_typed_are_remembered_when_something_else_is_wrong(self, a_superuser, free):
        response = change(a_superuser, free, reason="Too many.", minute="0", day="5")
        form = filled_in(response)
        assert (form["reason"], form["minute"], form["day"]) == ("Too many.", "0", "5")

    def test_what_cant_be_written_down_isnt_done(self, a_superuser, free, a_key, monkeypatch):
        def fail(*args, **kwargs):
            raise RuntimeError("no room")

        monkeypatch.setattr(audit, "record", fail)
        for do in (
            lambda: change(a_superuser, free, minute="20"),
            lambda: change(a_superuser, a_superuser.person, name="Root"),
            lambda: act(a_superuser, "revoke", a_key, reason="a test"),
            lambda: a_superuser.post(list_page(Tier) + "add/", {"name": "Gold", "slug": "gold"}),
            lambda: call_command("set_tier", "free", "minute=20"),
            lambda: suspend(a_key, by=None, reason="a test"),
        ):
            with pytest.raises(RuntimeError):
                do()
        free.refresh_from_db()
        a_key.refresh_from_db()
        assert (free.minute, a_key.status, Tier.objects.count()) == (30, "active", 3)
        assert User.objects.get(pk=a_superuser.person.pk).name == ""

    def test_adding_a_key_shows_its_text_once_and_writes_none_of_it_down(self, a_superuser, a_customer, told):
        form = {"owner": a_customer.person.pk, "name": "prod", "tier": Tier.objects.get(slug="pro").pk}
        page = a_superuser.post("/admin/accounts/apikey/add/", form).content.decode()
        key = ApiKey.objects.get()
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.target_id, entry.before) == ("created", str(key.pk), {})
        assert (entry.after["name"], entry.after["tier"], entry.after["start"]) == ("prod", "Pro", key.start)
        text = page.partition('value="koala_')[2].partition('"')[0]
        assert api_keys.find(f"koala_{text}") == key
        assert text not in json.dumps(entry.after)
        assert told == [(key, "created")]

    def test_an_end_in_the_past_is_refused(self, a_superuser, a_key):
        form = {"expires_at_0": "2020-01-01", "expires_at_1": "00:00"}
        assert "revoke it" in errors(change(a_superuser, a_key, **form))
        assert not AuditEntry.objects.exists()

    def test_what_is_deleted_is_written_down_each_for_itself(self, a_superuser):
        tiers = [Tier.objects.create(slug=slug, name=slug, minute=7) for slug in ("a", "b", "c")]
        a_superuser.post(f"{list_page(Tier)}{tiers[0].pk}/delete/", {"post": "yes"})
        act(a_superuser, "delete_selected", *tiers[1:], post="yes")
        entries = AuditEntry.objects.filter(action="deleted").order_by("target_label")
        assert [entry.before for entry in entries] == [
            {"slug": slug, "name": slug, "minute": 7} for slug in ("a", "b", "c")
        ]
        assert Tier.objects.count() == 3

    def test_staff_see_a_keys_secrets_and_allow_list_and_edit_neither(self, a_superuser, a_key):
        a_key.allowed_networks = ["192.0.2.0/24", "2001:db8::/32"]
        api_keys.give_new_secret(a_key)
        a_key.save()
        old = a_key.secrets.last()
        old.retires_at = old.last_used_at = datetime(2026, 3, 1, 12, tzinfo=UTC)
        old.save()
        page = a_superuser.get(change_page(a_key)).content.decode()
        for secret in a_key.secrets.all():
            assert str(secret) in page
        for words in (
            "192.0.2.0/24<br>2001:db8::/32",
            "last used 2026-03-01 12:00 UTC",
            "never used",
            "ended 2",
        ):
            assert words in page
        change(a_superuser, a_key, name="new", allowed_networks="[]", allow_list="")
        a_key.refresh_from_db()
        assert (a_key.name, len(a_key.allowed_networks)) == ("new", 2)
        assert str(a_key) in a_superuser.get(list_page(ApiKey), {"q": old.start}).content.decode()


class TestTwoAtOnce:
    @pytest.mark.parametrize(
        ("model", "field", "theirs", "ours"),
        [
            (Tier, "minute", 20, "40"),
            (EndpointLimit, "requests", 20, "40"),
            (EscalationPolicy, "strike_refusals", 20, "40"),
            (EscalationStep, "strikes", 20, "40"),
            (User, "name", "Ada", "Ben"),
        ],
    )
    def test_the_stale_form_is_refused_and_good_when_it_is_sent_again(
        self, a_superuser, model, field, theirs, ours
    ):
        row = model.objects.order_by("-pk").first()
        opened = filled_in(a_superuser.get(change_page(row)))
        change(a_superuser, row, reason="First.", **{field: str(theirs)})

        response = a_superuser.post(change_page(row), {**opened, field: ours, "reason": "Second."})
        row.refresh_from_db()
        assert getattr(row, field) == theirs
        assert AuditEntry.objects.count() == 1
        complaint = errors(response)
        assert "nothing was saved" in complaint
        assert f": {theirs}." in complaint
        assert "root@example.com" in complaint
        form = filled_in(response)
        assert (form[field], form["reason"]) == (ours, "Second.")

        assert a_superuser.post(change_page(row), form).status_code == 302
        row.refresh_from_db()
        assert str(getattr(row, field)) == ours
        entry = AuditEntry.objects.about(row).first()
        assert (entry.before, str(entry.after[field])) == ({field: theirs}, ours)

    def test_a_key_that_was_suspended_meanwhile_stays_suspended(self, a_superuser, a_key):
        opened = filled_in(a_superuser.get(change_page(a_key)))
        suspend(a_key, by=None, reason="a test")
        response = a_superuser.post(change_page(a_key), {**opened, "name": "new", "reason": "x"})
        assert "nothing was saved" in errors(response)
        assert (ApiKey.objects.get().name, ApiKey.objects.get().status) == ("prod", "suspended")

    def test_of_the_ladder_one_step_is_beside_another(self, a_superuser):
        """What a step should be depends on the others, so a change of one makes the page of another old."""
        second, third = EscalationStep.objects.filter(number__in=(2, 3))
        opened = filled_in(a_superuser.get(change_page(third)))
        change(a_superuser, second, strikes="9")
        response = a_superuser.post(change_page(third), {**opened, "strikes": "9", "reason": "x"})
        assert "nothing was saved" in errors(response)

    def test_a_form_that_doesnt_say_what_it_was_filled_in_beside_is_refused(self, a_superuser, free):
        response = change(a_superuser, free, minute="20", without=["as_read"])
        assert "nothing was saved" in errors(response)
        assert Tier.objects.get(slug="free").minute == 30


class TestSuspensions:
    @pytest.fixture(params=["page", "command", "code"])
    def do(self, request, a_superuser):
        def act_on(key, what, reason):
            if request.param == "page":
                act(
                    a_superuser,
                    {"suspend": "suspend_keys", "reactivate": "reactivate_clean"}[what],
                    key,
                    reason=reason,
                )
            elif request.param == "command":
                flags = ["--clean"] if what == "reactivate" else []
                call_command(f"{what}_key", key.start, "--reason", reason, *flags)
            elif what == "suspend":
                suspend(key, by=None, reason=reason)
            else:
                reactivate(key, by=None, reason=reason, clean=True)

        act_on.by = a_superuser.person if request.param == "page" else None
        return act_on

    def test_each_way_to_suspend_and_reactivate_is_written_down_once(self, do, a_key):
        do(a_key, "suspend", "Resells.")
        do(a_key, "reactivate", "Stopped.")
        reactivated, suspended = AuditEntry.objects.about(a_key)
        assert (suspended.action, suspended.actor, suspended.reason) == ("suspended", do.by, "Resells.")
        assert suspended.before == {"status": "active", "escalation": 0}
        assert suspended.after == {"status": "suspended", "escalation": 5}
        assert (reactivated.action, reactivated.actor, reactivated.reason) == (
            *("reactivated", do.by),
            "Stopped.",
        )
        assert reactivated.after == {"status": "active", "escalation": 0}

    def test_what_isnt_possible_or_only_rehearsed_isnt_written_down(self, a_key):
        call_command("suspend_key", a_key.start, "--reason", "a test", "--dry-run")
        with pytest.raises(NotPossible):
            reactivate(a_key, by=None, reason="a test")
        assert not AuditEntry.objects.exists()

    def test_the_end_of_a_block_that_is_lifted_is_kept(self, a_key):
        until = datetime(2099, 1, 1, tzinfo=UTC)
        EscalationState.objects.create(
            subject=f"k:{a_key.pk}", key=a_key, bucket=0, escalation=4, until=until, changed_at=until
        )
        reactivate(a_key, by=None, reason="a test")
        entry = AuditEntry.objects.get()
        assert entry.before == {"escalation": 4, "blocked_until": "2099-01-01T00:00:00+00:00"}
        assert entry.after == {"escalation": 3, "blocked_until": None}


class TestCommands:
    def test_a_tiers_new_limits_are_written_down_with_the_reason_if_one_is_given(self, free):
        call_command("set_tier", "free", "minute=20", "day=none", "--reason", "Too many.")
        call_command("set_tier", "free", "minute=25")
        second, first = AuditEntry.objects.about(free)
        assert (first.actor_label, first.action, first.reason) == ("command line", "changed", "Too many.")
        assert (first.before, first.after) == ({"minute": 30, "day": 1000}, {"minute": 20, "day": None})
        assert (second.before, second.after, second.reason) == ({"minute": 20}, {"minute": 25}, "")

    def test_what_changes_nothing_isnt(self):
        call_command("set_tier", "free", "minute=20", "--dry-run")
        call_command("set_tier", "free", "minute=30")
        assert not AuditEntry.objects.exists()

    def test_a_key_and_an_account_made_for_it_are(self):
        out = io.StringIO()
        call_command(
            "issue_key", "carla@example.com", "--limit", "minute=7", stdout=out, stderr=io.StringIO()
        )
        key, account = AuditEntry.objects.all()
        assert (account.action, account.target_label) == ("added", "carla@example.com")
        assert (key.action, key.after["minute_override"], key.after["tier"]) == ("created", 7, "Free")
        assert "password" not in account.after
        assert out.getvalue().strip() not in json.dumps(key.after)


def rows_of(client, **query):
    response = client.get(CSV, query)
    assert (response.status_code, response.streaming) == (200, True)
    return list(csv.reader(io.StringIO(b"".join(response.streaming_content).decode())))


class TestTheList:
    def test_a_row_says_who_did_what_to_what_why_and_what_it_was_before(self, a_supporter, an_entry):
        page = a_supporter.get(LIST).content.decode()
        for words in (
            "command line",
            "changed",
            f"tier {an_entry.target_id}: Free",
            "minute: 30 → 20",
            "Too many.",
        ):
            assert words in page
        assert "minute: 30 → 20" in a_supporter.get(change_page(an_entry)).content.decode()

    def test_of_a_list_it_says_what_came_and_went(self, a_supporter, free):
        both = {"before": {"groups": ["Limits", "Old"]}, "after": {"groups": ["Limits", "Support"]}}
        audit.record("changed", free, by=None, **both)
        assert "groups: \u2212 Old, + Support" in a_supporter.get(LIST).content.decode()

    def test_what_people_typed_is_text_to_the_page(self, a_supporter, free):
        evil = "<script>alert(1)</script>"
        audit.record("changed", free, by=None, before={evil: evil}, after={evil: [evil]}, reason=evil)
        assert "<script>alert(1)" not in a_supporter.get(LIST).content.decode()

    def test_it_is_filtered_by_action_who_and_date_and_searched(
        self, a_supporter, a_customer, an_entry, free
    ):
        theirs = audit.record("revoked", free, by=a_customer.person, reason="Lost it.")
        ours = audit.record("suspended", free, by=a_supporter.person)
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        for query, found in (
            ({"action": "changed"}, [an_entry]),
            ({"who": "command line"}, [an_entry]),
            ({"who": "customers"}, [theirs]),
            ({"who": "sue@example.com"}, [ours]),
            ({"q": "olivia"}, [theirs]),
            ({"q": "too many"}, [an_entry]),
            ({"at__gte": tomorrow.isoformat()}, []),
            ({}, [ours, theirs, an_entry]),
        ):
            response = a_supporter.get(LIST, query)
            assert list(response.context["cl"].result_list) == found, query
            assert len(rows_of(a_supporter, **query)) == 1 + len(found), query

    def test_the_list_links_to_the_same_rows_as_csv(self, a_supporter, an_entry):
        page = a_supporter.get(LIST, {"action": "changed"}).content.decode()
        assert 'href="/admin/accounts/auditentry/csv/?action=changed"' in page

    def test_a_list_of_many_asks_no_more_than_one_of_few(
        self, a_supporter, free, django_assert_max_num_queries
    ):
        for number in range(30):
            audit.record("changed", free, by=a_supporter.person, before={"minute": number})
        with django_assert_max_num_queries(14):
            a_supporter.get(LIST)
        with django_assert_max_num_queries(9):
            assert len(rows_of(a_supporter)) == 31


class TestCsv:
    def test_it_has_everything_in_utc_and_as_json(self, a_supporter, an_entry):
        header, row = rows_of(a_supporter)
        told = dict(zip(header, row, strict=True))
        assert told == {
            "at": an_entry.at.astimezone(UTC).isoformat(),
            "who": "command line",
            "action": "changed",
            "what": "Free",
            "target": f"accounts.tier {an_entry.target_id}",
            "why": "Too many.",
            "before": '{"minute": 30}',
            "after": '{"minute": 20}',
        }
        assert told["at"].endswith("+00:00")

    @pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
    def test_no_cell_is_a_formula(self, a_supporter, free, text):
        audit.record("changed", free, by=None, reason=text)
        assert rows_of(a_supporter)[1][5] == f"'{text}"
        assert defused(text) == f"'{text}"

    def test_what_is_no_formula_stays_as_it_is(self):
        for text in ("", "a=b", "1-2", "olivia@example.com", "'quoted'", '{"a": 1}'):
            assert defused(text) == text

    def test_a_query_that_makes_no_sense_leads_back_to_the_list(self, a_supporter):
        assert a_supporter.get(CSV, {"at__gte": "yesterday-ish"})["Location"].startswith(LIST)
