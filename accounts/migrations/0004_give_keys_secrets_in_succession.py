"""A key gets secrets of its own table; each key brings the one it has."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_let_owners_switch_quota_emails_off")]

    operations = [
        migrations.CreateModel(
            name="KeySecret",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("pepper_version", models.PositiveSmallIntegerField(editable=False)),
                (
                    "start",
                    models.CharField(
                        db_index=True, editable=False, help_text="What pages show of it.", max_length=16
                    ),
                ),
                ("end", models.CharField(editable=False, max_length=8)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "retires_at",
                    models.DateTimeField(
                        blank=True, help_text="Rotated out: refused from then on.", null=True
                    ),
                ),
                ("last_used_at", models.DateTimeField(blank=True, help_text="To the minute.", null=True)),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="secrets",
                        to="accounts.apikey",
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
            },
        ),
        # In SQL, because a million rows are no affair of Python's.
        migrations.RunSQL(
            [
                'INSERT INTO accounts_keysecret (key_id, digest, pepper_version, start, "end", created_at)'
                ' SELECT id, digest, pepper_version, start, "end", created_at FROM accounts_apikey'
            ],
            migrations.RunSQL.noop,
        ),
        migrations.AddField(
            model_name="apikey",
            name="allowed_networks",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="Networks it may be used from. Empty: from anywhere.",
                verbose_name="allow-list",
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="form_id",
            field=models.UUIDField(editable=False, null=True, unique=True),
        ),
        migrations.AlterModelOptions(
            name="apikey",
            options={
                "ordering": ["-created_at"],
                "permissions": [
                    ("revoke_apikey", "Can revoke API keys"),
                    ("suspend_apikey", "Can suspend and reactivate API keys"),
                    ("override_apikey", "Can give API keys a tier and limits of their own"),
                ],
                "verbose_name": "API key",
            },
        ),
    ]
