"""Migrations that carry rows along."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_key_of_before_keeps_the_text_it_has():
    executor = MigrationExecutor(connection)
    newest = executor.loader.graph.leaf_nodes()
    executor.migrate([("accounts", "0003_let_owners_switch_quota_emails_off")])
    try:
        before = executor.loader.project_state([("accounts", "0003_let_owners_switch_quota_emails_off")]).apps
        owner = before.get_model("accounts", "User").objects.create(email="olivia@example.com")
        tier = before.get_model("accounts", "Tier").objects.get(slug="free")
        old = before.get_model("accounts", "ApiKey").objects.create(
            owner=owner,
            name="prod",
            tier=tier,
            digest="d" * 64,
            pepper_version=3,
            start="koala_abcdef",
            end="wxyz",
        )
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(newest)
    from accounts.models import ApiKey

    key = ApiKey.objects.get(pk=old.pk)
    secret = key.secrets.get()
    assert (secret.digest, secret.pepper_version) == ("d" * 64, 3)
    assert (secret.start, secret.end, secret.created_at) == (key.start, key.end, key.created_at)
    assert (secret.retires_at, key.allowed_networks) == (None, [])
