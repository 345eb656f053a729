"""Which orders of staff took something back of a subject's counters, and how much of its day."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("usage", "0012_let_staff_reset_counters"),
    ]

    operations = [
        migrations.CreateModel(
            name="CounterReset",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("order", models.UUIDField(unique=True)),
                ("subject", models.CharField(help_text="k:<key id> or ip:<network>", max_length=64)),
                ("bucket", models.PositiveSmallIntegerField()),
                ("day", models.DateTimeField(help_text="The UTC day's start.")),
                ("forgiven", models.PositiveIntegerField(default=0)),
            ],
            options={
                "indexes": [models.Index(fields=["day", "subject"], name="counter_reset_day_subject")],
            },
        ),
    ]
