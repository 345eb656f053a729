"""Digests are the secrets' now."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_give_keys_secrets_in_succession")]

    operations = [
        migrations.RemoveField(
            model_name="apikey",
            name="digest",
        ),
        migrations.RemoveField(
            model_name="apikey",
            name="pepper_version",
        ),
    ]
