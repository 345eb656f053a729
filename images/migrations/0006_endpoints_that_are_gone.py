from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("images", "0005_what_webhooks_remember")]

    operations = [
        migrations.AddField(
            model_name="webhookendpoint",
            name="is_gone",
            field=models.BooleanField(default=False, verbose_name="answered 410"),
        ),
    ]
