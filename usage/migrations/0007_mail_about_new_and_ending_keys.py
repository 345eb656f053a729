"""Emails about keys that are created, rotated, or about to expire."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("usage", "0006_bound_the_ladders_numbers"),
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
                    ("quota_near", "80 % of the day"),
                    ("quota_spent", "100 % of the day"),
                    ("key_created", "key created"),
                    ("key_rotated", "key rotated"),
                    ("key_expiring", "key about to expire"),
                ],
                max_length=16,
            ),
        ),
    ]
