"""A digest is only ever looked up whole: PostgreSQL needs no second index on it, for LIKE."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0008_give_staff_two_roles"),
    ]

    operations = [
        migrations.AlterField(
            model_name="keysecret",
            name="digest",
            field=models.CharField(editable=False, max_length=64),
        ),
        migrations.AddConstraint(
            model_name="keysecret",
            constraint=models.UniqueConstraint(fields=("digest",), name="one_secret_per_digest"),
        ),
    ]
