"""The groups Support and Limits: what is seeded, and what their members may and may not do."""

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db.models.signals import post_migrate

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
    *("usage.change_escalationpolicy", "usage.change_escalationstep"),
}
HISTORY = {
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


def end_migrations():
    """What `migrate` does at its end: Django makes what permissions are missing."""
    for config in apps.get_app_configs():
        post_migrate.send(
            config, app_config=config, verbosity=0, interactive=False, using="default", plan=[], apps=apps
        )


def both_are_as_meant():
    assert permissions_of("Support") == SUPPORT | HISTORY
    assert permissions_of("Limits") == LIMITS | HISTORY


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
        assert permissions_of("Support") == SUPPORT | HISTORY | {"images.view_job"}

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
