"""Limits per address and endpoint, the audit log, messages to staff, letters."""

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import accounts.models.tier


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_keep_digests_with_their_secrets_alone")]

    operations = [
        migrations.CreateModel(
            name="EndpointLimit",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("revision", models.PositiveBigIntegerField(default=0, editable=False)),
                ("name", models.SlugField(help_text="As code, headers and refusals have it.", unique=True)),
                ("description", models.CharField(max_length=200)),
                (
                    "requests",
                    accounts.models.tier.LimitField(
                        blank=True,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="requests",
                    ),
                ),
                (
                    "seconds",
                    models.PositiveIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(86400),
                        ],
                        verbose_name="in how many seconds",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ("actor_label", models.CharField(max_length=254, verbose_name="who")),
                ("action", models.CharField(db_index=True, max_length=40)),
                ("target_type", models.CharField(max_length=40)),
                ("target_id", models.CharField(max_length=64)),
                ("target_label", models.CharField(max_length=254, verbose_name="what")),
                ("before", models.JSONField(default=dict)),
                ("after", models.JSONField(default=dict)),
                ("reason", models.TextField(blank=True, verbose_name="why")),
                (
                    "actor",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="audit_entries",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "audit entries",
                "ordering": ["-at", "-id"],
                "indexes": [models.Index(fields=["target_type", "target_id"], name="audit_entry_target")],
            },
        ),
        migrations.CreateModel(
            name="ContactMessage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("sent_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("email", models.EmailField(max_length=254, verbose_name="email address")),
                ("subject", models.CharField(max_length=150)),
                ("text", models.TextField(max_length=5000, verbose_name="message")),
                (
                    "is_spam",
                    models.BooleanField(
                        default=False,
                        help_text="It filled in what people don't see: it was not mailed.",
                        verbose_name="by a machine",
                    ),
                ),
                ("answered_at", models.DateTimeField(blank=True, null=True, verbose_name="answered")),
                ("form_id", models.UUIDField(editable=False, unique=True)),
                (
                    "sender",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        help_text="The account that was signed in.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-sent_at"],
            },
        ),
        migrations.CreateModel(
            name="Letter",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "due_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, help_text="Not to be tried before."
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("error", models.CharField(blank=True, help_text="Of the last attempt.", max_length=300)),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                (
                    "given_up_at",
                    models.DateTimeField(blank=True, help_text="Nobody would have gained by it.", null=True),
                ),
                ("kind", models.CharField(help_text="The template it was made from.", max_length=60)),
                ("recipient", models.EmailField(max_length=254)),
                ("sealed", models.TextField(blank=True, editable=False)),
            ],
            options={
                "ordering": ["-created_at"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("given_up_at", None), ("sent_at", None)),
                        fields=["due_at"],
                        name="letter_waiting_due",
                    )
                ],
            },
        ),
    ]
