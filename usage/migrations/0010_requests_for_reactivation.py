"""Suspended customers tell staff what they changed, and staff answer."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0010_let_keys_rehearse"),
        ("usage", "0009_how_long_refused_clients_waited"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.AlterField(
            model_name="notice",
            name="kind",
            field=models.CharField(
                choices=[
                    ("day_block", "day block"),
                    ("suspension", "Suspension"),
                    ("reactivation", "Reactivation"),
                    ("suspension_kept", "suspension kept"),
                    ("quota_near", "80 % of the day"),
                    ("quota_spent", "100 % of the day"),
                    ("key_created", "key created"),
                    ("key_rotated", "key rotated"),
                    ("key_expiring", "key about to expire"),
                ],
                max_length=16,
            ),
        ),
        migrations.CreateModel(
            name="ReactivationRequest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("note", models.TextField(verbose_name="what did you change?")),
                ("sent_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("reactivated", "Reactivated"),
                            ("kept", "kept suspended"),
                            ("revoked", "key revoked"),
                        ],
                        default="waiting",
                        max_length=12,
                    ),
                ),
                ("answered_at", models.DateTimeField(blank=True, null=True)),
                ("answer", models.TextField(blank=True)),
                (
                    "answered_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reactivation_requests",
                        to="accounts.apikey",
                    ),
                ),
                (
                    "sent_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "suspension",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="reactivation_requests",
                        to="usage.escalationevent",
                    ),
                ),
            ],
            options={
                "ordering": ["-sent_at", "-pk"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("status", "waiting")),
                        fields=["sent_at"],
                        name="reactivation_request_waiting",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status", "waiting")),
                        fields=("key",),
                        name="one_waiting_request_per_key",
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="escalationstate",
            index=models.Index(
                condition=models.Q(("escalation", 5)),
                fields=["-changed_at"],
                name="escalation_state_suspended",
            ),
        ),
    ]
