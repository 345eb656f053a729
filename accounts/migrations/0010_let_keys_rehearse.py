"""Keys that answer any refusal on demand, so that clients can prove what they do then."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_one_index_for_digests"),
    ]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="is_rehearsal",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="Answers any refusal on demand, is never charged, and converts nothing.",
                verbose_name="rehearsal key",
            ),
        ),
    ]
