"""The groups Support and Limits: what is seeded, and what their members may and may not do."""

from datetime import timedelta
from importlib import import_module
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db.models.signals import post_migrate
from django.utils import timezone

from accounts.models import ApiKey, AuditEntry, ContactMessage, EndpointLimit, Tier, User
from tests.accounts.conftest import browser_of
from tests.admin_pages import act, change, change_page, errors
from usage.models import EscalationPolicy, EscalationStep, Notice

pytestmark = pytest.mark.django_db

SUPPORT = {
    *("accounts.view_user", "accounts.view_tier", "accounts.view_endpointlimit", "accounts.view_apikey"),
    *("accounts.revoke_apikey", "accounts.suspend_apikey", "accounts.view_auditentry"),
    *("accounts.view_contactmessage", "accounts.change_contactmessage"),
    *("accounts.view_letter", "accounts.change_letter"),
    *("usage.view_notice", "usage.change_notice"),
}
LIMITS = {
    *("accounts.view_user", "accounts.view_apikey", "accounts.override_apikey", "accounts.view_auditentry"),
    *("accounts.view_tier", "accounts.add_tier", "accounts.change_tier"),
    *("accounts.view_endpointlimit", "accounts.change_endpointlimit"),
    *("usage.change_escalationpolicy", "usage.change_escalationstep", "usage.add_replay"),
}
BOTH = {
    *("usage.reset_counters", "usage.view_reactivationrequest", "usage.view_replay"),
    *("usage.view_escalationpolicy", "usage.view_escalationstep", "usage.view_escalationstate"),
    *("usage.view_escalationevent", "usage.view_ratehit", "usage.view_usagehour", "usage.view_usageday"),
}


def permissions_of(name):
    found = Group.objects.get(name=name).permissions.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in found}


def seed():
    import_module("accounts.migrations.0008_give_staff_two_roles").seed(apps, None)
    ladder = import_module("usage.migrations.0008_give_staff_roles_their_part_of_the_ladder")
    ladder.seed(apps, None)
    ladder.replace_former_permissions(apps, None)
    import_module("usage.migrations.0012_let_staff_reset_counters").seed(apps, None)


def end_migrations():
    """What `migrate` does at its end: Django makes what permissions are missing."""
    for config in apps.get_app_configs():
        post_migrate.send(
            config, app_config=config, verbosity=0, interactive=False, using="default", plan=[], apps=apps
        )


def both_are_as_meant():
    assert permissions_of("Support") == SUPPORT | BOTH
    assert permissions_of("Limits") == LIMITS | BOTH


@pytest.fixture
def fresh_cache():
    """Content types are remembered by number; a test that makes them anew takes its numbers with it."""
    yield
    ContentType.objects.clear_cache()


class TestSeeding:
    def test_migrations_gave_each_role_exactly_its_permissions(self):
        both_are_as_meant()

    @pytest.mark.usefixtures("fresh_cache")
    @pytest.mark.parametrize("what_is_new", ["a database", "the groups"])
    def test_it_works_before_and_after_django_made_the_permissions(self, what_is_new):
        names = set(Permission.objects.values_list("content_type__model", "codename", "name"))
        Group.objects.all().delete()
        if what_is_new == "a database":
            ContentType.objects.all().delete()
            ContentType.objects.clear_cache()
        seed()
        both_are_as_meant()
        end_migrations()
        both_are_as_meant()
        assert set(Permission.objects.values_list("content_type__model", "codename", "name")) == names

    def test_what_superusers_gave_a_group_besides_stays(self):
        extra = Permission.objects.get(codename="view_job")
        Group.objects.get(name="Support").permissions.add(extra)
        seed()
        assert permissions_of("Support") == SUPPORT | BOTH | {"images.view_job"}

    def test_who_might_suspend_and_reactivate_still_may_and_nobody_else(self, django_user_model):
        state = ContentType.objects.get(app_label="usage", model="escalationstate")
        former = [
            Permission.objects.create(content_type=state, codename=codename, name=codename)
            for codename in ("suspend_key", "reactivate_key")
        ]
        both, one = (django_user_model.objects.create_user(f"{who}@example.com") for who in ("both", "one"))
        both.user_permissions.set(former)
        one.user_permissions.set(former[:1])
        seed()
        assert [permission.codename for permission in both.user_permissions.all()] == ["suspend_apikey"]
        assert not one.user_permissions.exists()
        assert not Permission.objects.filter(codename__in=["suspend_key", "reactivate_key"]).exists()


@pytest.mark.django_db(transaction=True)
class TestAfterAFlush:
    @pytest.mark.parametrize("time", [1, 2])
    def test_the_roles_are_there_with_their_permissions(self, time):
        both_are_as_meant()


@pytest.fixture
def a_message():
    return ContactMessage.objects.create(
        email="olivia@example.com", subject="Help", text="My key is blocked.", form_id=uuid4()
    )


def statuses(client, *pages):
    return {page: client.get(page).status_code for page in pages}


READ_BY_SUPPORT = [
    *("accounts/user", "accounts/tier", "accounts/apikey", "accounts/endpointlimit", "accounts/auditentry"),
    *("accounts/contactmessage", "usage/notice", "usage/escalationstate", "usage/escalationevent"),
    *("usage/ratehit", "usage/usagehour", "usage/usageday", "usage/escalationstep"),
]
READ_BY_LIMITS = [
    *("accounts/user", "accounts/tier", "accounts/apikey", "accounts/endpointlimit", "accounts/auditentry"),
    *("usage/escalationstate", "usage/escalationevent", "usage/ratehit", "usage/escalationstep"),
]


@pytest.mark.usefixtures("valkey")
class TestSupport:
    def test_they_read_what_they_need_and_nothing_else(self, a_supporter):
        pages = {f"/admin/{model}/": 200 for model in READ_BY_SUPPORT}
        pages |= {"/admin/auth/group/": 403, "/admin/images/job/": 403, "/admin/account/emailaddress/": 403}
        assert statuses(a_supporter, *pages) == pages

    def test_they_suspend_reactivate_and_revoke(self, a_supporter, a_key):
        for action, status in (
            ("suspend_keys", "suspended"),
            ("reactivate_clean", "active"),
            ("revoke", "revoked"),
        ):
            act(a_supporter, action, a_key, reason="It leaked.")
            a_key.refresh_from_db()
            assert a_key.status == status
        entries = AuditEntry.objects.about(a_key).order_by("id")
        assert [entry.action for entry in entries] == ["suspended", "reactivated", "revoked"]
        assert {(entry.actor, entry.reason) for entry in entries} == {(a_supporter.person, "It leaked.")}

    def test_they_read_a_key_but_edit_nothing_of_it(self, a_supporter, a_key):
        page = a_supporter.get(change_page(a_key)).content.decode()
        assert str(a_key.secrets.get()) in page
        assert 'name="_save"' not in page
        form = {
            "name": "mine",
            "tier": Tier.objects.get(slug="pro").pk,
            "minute_override": "9",
            "reason": "x",
        }
        assert a_supporter.post(change_page(a_key), form).status_code == 403
        assert a_supporter.post("/admin/accounts/apikey/add/", form).status_code == 403
        a_key.refresh_from_db()
        assert (a_key.name, a_key.tier.slug, a_key.overrides) == ("prod", "free", {})

    @pytest.mark.parametrize("whose", ["own", "customer"])
    def test_they_give_nobody_permissions_not_even_themselves(self, a_supporter, a_customer, whose):
        account = a_supporter.person if whose == "own" else a_customer.person
        group = Group.objects.get(name="Support")
        everything = [permission.pk for permission in Permission.objects.all()]
        form = {
            **{"email": account.email, "is_active": "on", "is_staff": "on", "is_superuser": "on"},
            **{"groups": [Group.objects.get(name="Limits").pk], "user_permissions": everything},
            **{"name": "Support", "permissions": everything, "reason": "me", "as_read": "1"},
        }
        assert a_supporter.post(change_page(account), form).status_code == 403
        assert a_supporter.post(change_page(group), form).status_code == 403
        assert a_supporter.post("/admin/auth/group/add/", form).status_code == 403
        assert a_supporter.post("/admin/accounts/user/add/", form).status_code == 403
        assert (
            a_supporter.post(f"/admin/accounts/user/{account.pk}/delete/", {"post": "yes"}).status_code == 403
        )
        account.refresh_from_db()
        assert not account.is_superuser
        assert not account.user_permissions.exists()
        assert permissions_of("Support") == SUPPORT | BOTH

    def test_they_neither_see_how_a_password_is_hashed_nor_change_one(self, a_supporter, a_superuser):
        boss = a_superuser.person
        for page in ("/admin/accounts/user/", change_page(boss)):
            text = a_supporter.get(page).content.decode()
            assert boss.email in text
            assert not [part for part in boss.password.split("$") if part in text]
        form = {
            "password1": "eucalyptus 4711",
            "password2": "eucalyptus 4711",
            "reason": "x",
            "set-password": "",
        }
        page = f"/admin/accounts/user/{boss.pk}/password/"
        assert a_supporter.get(page).status_code == 403
        assert a_supporter.post(page, form | {"usable_password": "true"}).status_code == 403
        boss.refresh_from_db()
        assert boss.check_password("correct horse battery")

    def test_no_password_is_guessed_by_filtering_its_hash(self, a_supporter, a_superuser):
        for lookup in ("password__startswith", "api_keys__secrets__digest__startswith"):
            response = a_supporter.get("/admin/accounts/user/", {lookup: "m"})
            assert response.status_code in (302, 400)

    def test_they_leave_limits_and_the_ladder_alone(self, a_supporter):
        for row in (Tier.objects.get(slug="free"), EndpointLimit.objects.get(name="login")):
            form = {"name": "x", "minute": "1", "requests": "1", "seconds": "1", "reason": "x"}
            assert a_supporter.post(change_page(row), form).status_code == 403
        form = {"strike_refusals": "1", "name": "x", "reason": "x"}
        for page in ("escalationpolicy/1", "escalationstep/2"):
            assert a_supporter.post(f"/admin/usage/{page}/change/", form).status_code == 403
        assert not AuditEntry.objects.exists()

    def test_they_note_that_a_message_is_answered_and_change_no_word_of_it(self, a_supporter, a_message):
        assert a_supporter.get(change_page(a_message)).status_code == 200
        assert (
            a_supporter.post(change_page(a_message), {"text": "Nothing.", "reason": "x"}).status_code == 403
        )
        assert a_supporter.post("/admin/accounts/contactmessage/add/", {}).status_code == 403
        act(a_supporter, "mark_answered", a_message)
        act(a_supporter, "mark_answered", a_message)
        a_message.refresh_from_db()
        assert (a_message.text, a_message.answered_at is None) == ("My key is blocked.", False)
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.before) == ("marked as answered", {"answered_at": None})
        assert entry.after == {"answered_at": a_message.answered_at.isoformat()}

    def test_messages_are_told_apart_by_what_became_of_them(self, a_supporter, a_message):
        about = {"email": "ben@example.com", "subject": "Hello", "text": "Hello."}
        now = timezone.now()
        spam = ContactMessage.objects.create(**about, form_id=uuid4(), is_spam=True)
        answered = ContactMessage.objects.create(**about, form_id=uuid4(), answered_at=now)
        for outcome, found in (("waits", a_message), ("spam", spam), ("answered", answered)):
            response = a_supporter.get("/admin/accounts/contactmessage/", {"outcome": outcome})
            assert list(response.context["cl"].result_list) == [found]

    def test_mail_that_waits_is_tried_again_with_an_entry_for_each(self, a_supporter, a_key):
        later = timezone.now() + timedelta(hours=1)
        waits = Notice.objects.create(once="1", kind="suspension", key=a_key, due_at=later)
        sent = Notice.objects.create(once="2", kind="suspension", key=a_key, due_at=later, sent_at=later)
        act(a_supporter, "try_again", waits, sent)
        assert list(Notice.objects.due(timezone.now())) == [waits]
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.target_id, entry.actor) == (
            "tried again",
            str(waits.pk),
            a_supporter.person,
        )
        assert entry.before == {"due_at": later.isoformat()}


@pytest.mark.usefixtures("valkey")
class TestLimits:
    def test_they_read_what_they_need_and_nothing_else(self, a_limits_editor):
        pages = {f"/admin/{model}/": 200 for model in READ_BY_LIMITS}
        pages |= {
            "/admin/auth/group/": 403,
            "/admin/accounts/contactmessage/": 403,
            "/admin/usage/notice/": 403,
        }
        assert statuses(a_limits_editor, *pages) == pages

    def test_they_edit_tiers_endpoint_limits_and_the_ladder(self, a_limits_editor):
        rows = {
            Tier.objects.get(slug="free"): "minute",
            EndpointLimit.objects.get(name="login"): "requests",
            EscalationPolicy.objects.get(): "strike_refusals",
            EscalationStep.objects.get(number=2): "strikes",
        }
        for row, field in rows.items():
            before = getattr(row, field)
            assert change(a_limits_editor, row, reason="Too few.", **{field: "17"}).status_code == 302
            row.refresh_from_db()
            assert getattr(row, field) == 17
            entry = AuditEntry.objects.about(row).get()
            assert (entry.before, entry.after, entry.reason) == ({field: before}, {field: 17}, "Too few.")

    def test_they_add_a_tier_but_take_none_away(self, a_limits_editor):
        form = {"name": "Gold", "slug": "gold", "minute": "500"}
        assert a_limits_editor.post("/admin/accounts/tier/add/", form).status_code == 302
        gold = Tier.objects.get(slug="gold")
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.before) == ("added", {})
        assert entry.after == {"slug": "gold", "name": "Gold", "minute": 500}
        page = f"/admin/accounts/tier/{gold.pk}/delete/"
        assert a_limits_editor.post(page, {"post": "yes"}).status_code == 403

    def test_they_give_a_key_a_tier_and_limits_and_change_nothing_else_of_it(self, a_limits_editor, a_key):
        pro = Tier.objects.get(slug="pro")
        response = change(
            *(a_limits_editor, a_key),
            **{"reason": "They pay.", "tier": str(pro.pk), "minute_override": "77", "name": "mine"},
            **{"expires_at_0": "2020-01-01", "expires_at_1": "00:00", "status": "revoked", "owner": "1"},
        )
        assert response.status_code == 302
        a_key.refresh_from_db()
        assert (a_key.tier, a_key.overrides) == (pro, {"minute": 77})
        assert (a_key.name, a_key.expires_at, a_key.status) == ("prod", None, "active")
        entry = AuditEntry.objects.get()
        assert entry.before == {"tier": "Free", "minute_override": None}
        assert entry.after == {"tier": "Pro", "minute_override": 77}

    def test_no_key_is_given_the_tier_of_guests(self, a_limits_editor, a_key):
        guests = Tier.objects.get(slug="anonymous")
        assert "not one of the available choices" in errors(
            change(a_limits_editor, a_key, tier=str(guests.pk))
        )

    def test_they_neither_suspend_reactivate_nor_revoke(self, a_limits_editor, a_key):
        for action in ("suspend_keys", "reactivate_clean", "reactivate_on_probation", "revoke"):
            for reason in (None, "a test"):
                act(a_limits_editor, action, a_key, reason=reason)
        a_key.refresh_from_db()
        assert a_key.status == "active"
        assert not AuditEntry.objects.exists()

    def test_endpoint_limits_are_neither_added_deleted_nor_renamed(self, a_limits_editor, a_superuser):
        login = EndpointLimit.objects.get(name="login")
        for client in (a_limits_editor, a_superuser):
            assert client.post("/admin/accounts/endpointlimit/add/", {"name": "new"}).status_code == 403
            page = f"/admin/accounts/endpointlimit/{login.pk}/delete/"
            assert client.post(page, {"post": "yes"}).status_code == 403
            change(client, login, name="logout", seconds="90")
        login.refresh_from_db()
        assert (login.name, login.seconds, login.requests) == ("login", 90, 10)
        assert "within 2 seconds" in a_limits_editor.get(change_page(login)).content.decode()


class TestOthers:
    def test_plain_permission_to_change_keys_renames_them_at_most(self, a_customer, a_key):
        clerk = User.objects.create_user("clerk@example.com", is_staff=True)
        for codename in ("change_apikey", "add_apikey", "view_apikey"):
            clerk.user_permissions.add(Permission.objects.get(codename=codename))
        client = browser_of(clerk)
        pro = Tier.objects.get(slug="pro")
        change(client, a_key, name="new", tier=str(pro.pk), minute_override="9999", status="revoked")
        for action in ("suspend_keys", "reactivate_clean", "revoke"):
            act(client, action, a_key, reason="a test")
        a_key.refresh_from_db()
        assert (a_key.name, a_key.tier.slug, a_key.overrides, a_key.status) == ("new", "free", {}, "active")
        form = {"owner": a_customer.person.pk, "name": "b", "tier": pro.pk, "minute_override": "9999"}
        assert client.post("/admin/accounts/apikey/add/", form).status_code == 200
        made = ApiKey.objects.get(name="b")
        assert (made.tier.slug, made.overrides) == ("free", {})

    def test_plain_permission_to_change_accounts_or_groups_makes_no_superuser(self, a_customer):
        clerk = User.objects.create_user("clerk@example.com", is_staff=True)
        for codename in ("change_user", "add_user", "delete_user", "view_user", "change_group", "view_group"):
            clerk.user_permissions.add(Permission.objects.get(codename=codename))
        client = browser_of(clerk)
        form = {"email": clerk.email, "is_superuser": "on", "reason": "me"}
        assert client.post(change_page(clerk), form).status_code == 403
        assert client.post(change_page(Group.objects.get(name="Limits")), {"name": "x"}).status_code == 403
        clerk.refresh_from_db()
        assert not clerk.is_superuser

    def test_a_customer_is_shown_the_door_everywhere(self, a_customer, a_key):
        pages = [f"/admin/{model}/" for model in READ_BY_SUPPORT]
        pages += ["/admin/", "/admin/accounts/auditentry/csv/", change_page(a_key)]
        assert set(statuses(a_customer, *pages).values()) == {302}
        assert a_customer.get(pages[0])["Location"].startswith("/admin/login/")
        act(a_customer, "revoke", a_key, reason="mine", follow=False)
        a_key.refresh_from_db()
        assert a_key.status == "active"

    def test_staff_without_a_role_read_nothing(self, db):
        client = browser_of(User.objects.create_user("new@example.com", is_staff=True))
        pages = [f"/admin/{model}/" for model in READ_BY_SUPPORT] + ["/admin/accounts/auditentry/csv/"]
        assert set(statuses(client, *pages).values()) == {403}


class TestSuperusers:
    def test_they_make_staff_of_an_account_and_give_it_a_role(self, a_superuser, a_customer):
        account, support = a_customer.person, Group.objects.get(name="Support")
        response = change(
            *(a_superuser, account),
            **{"reason": "Joined us.", "is_staff": "on", "groups": [str(support.pk)]},
        )
        assert response.status_code == 302
        account.refresh_from_db()
        assert (account.is_staff, list(account.groups.all())) == (True, [support])
        entry = AuditEntry.objects.get()
        assert entry.before == {"is_staff": False, "groups": []}
        assert entry.after == {"is_staff": True, "groups": ["Support"]}

    def test_a_changed_role_is_told_by_its_permissions(self, a_superuser):
        group = Group.objects.get(name="Support")
        job = Permission.objects.get(codename="view_job")
        chosen = [str(permission.pk) for permission in (*group.permissions.all(), job)]
        assert change(a_superuser, group, permissions=chosen).status_code == 302
        entry = AuditEntry.objects.get()
        assert set(entry.after["permissions"]) - set(entry.before["permissions"]) == {str(job)}

    def test_a_new_password_is_told_but_nothing_of_it(self, a_superuser, a_customer):
        account = a_customer.person
        page = f"/admin/accounts/user/{account.pk}/password/"
        form = {"usable_password": "true", "password1": "eucalyptus 4711", "password2": "eucalyptus 4711"}
        form |= {"set-password": "yes"}
        assert "This field is required" in a_superuser.post(page, form).content.decode()
        assert not AuditEntry.objects.exists()
        assert a_superuser.post(page, form | {"reason": "Asked by phone."}).status_code == 302
        account.refresh_from_db()
        assert account.check_password("eucalyptus 4711")
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.reason, entry.before, entry.after) == (
            *("changed password", "Asked by phone."),
            *({}, {}),
        )
