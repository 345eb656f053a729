"""Totals over all subjects, when the worker did what, and an index of those who are blocked."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0010_let_keys_rehearse"),
        ("usage", "0013_what_staff_took_back_of_a_day"),
    ]

    operations = [
        migrations.CreateModel(
            name="HitTotal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("start", models.DateTimeField(help_text="Of the hour, UTC.")),
                ("kind", models.CharField(max_length=16)),
                ("count", models.PositiveBigIntegerField()),
            ],
            options={
                "ordering": ["-start", "kind"],
            },
        ),
        migrations.CreateModel(
            name="TaskRun",
            fields=[
                ("name", models.CharField(max_length=80, primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="TopSubject",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "by",
                    models.CharField(choices=[("served", "Served"), ("refused", "Refused")], max_length=8),
                ),
                ("rank", models.PositiveSmallIntegerField(help_text="1 has the most.")),
                ("day", models.DateTimeField(help_text="The UTC day's start.")),
                ("subject", models.CharField(help_text="k:<key id> or ip:<network>", max_length=64)),
                ("served", models.PositiveIntegerField()),
                ("refused", models.PositiveBigIntegerField()),
            ],
            options={
                "ordering": ["by", "rank"],
            },
        ),
        migrations.CreateModel(
            name="TotalledUntil",
            fields=[
                ("bucket", models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ("minute", models.PositiveIntegerField(help_text="Unix minutes")),
            ],
        ),
        migrations.CreateModel(
            name="UsageTotal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("start", models.DateTimeField(help_text="Of the hour, UTC.")),
                (
                    "tier",
                    models.CharField(
                        blank=True, help_text="Its slug. Empty: keys that were deleted.", max_length=50
                    ),
                ),
                ("admitted", models.PositiveBigIntegerField(default=0)),
                ("failed", models.PositiveBigIntegerField(default=0)),
                ("minute_hits", models.PositiveBigIntegerField(default=0)),
                ("day_hits", models.PositiveBigIntegerField(default=0)),
                ("concurrent_hits", models.PositiveBigIntegerField(default=0)),
                ("blocked_hits", models.PositiveBigIntegerField(default=0)),
                ("other_hits", models.PositiveBigIntegerField(default=0)),
            ],
            options={
                "ordering": ["-start", "tier"],
            },
        ),
        migrations.AddIndex(
            model_name="escalationstate",
            index=models.Index(
                condition=models.Q(("escalation__range", (2, 4))),
                fields=["until"],
                name="escalation_state_blocked",
            ),
        ),
        migrations.AddConstraint(
            model_name="hittotal",
            constraint=models.UniqueConstraint(fields=("start", "kind"), name="one_total_per_hour_kind"),
        ),
        migrations.AddConstraint(
            model_name="topsubject",
            constraint=models.UniqueConstraint(fields=("by", "rank"), name="one_top_subject_per_rank"),
        ),
        migrations.AddConstraint(
            model_name="usagetotal",
            constraint=models.UniqueConstraint(fields=("start", "tier"), name="one_total_per_hour_tier"),
        ),
    ]
