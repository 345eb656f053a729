from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("images", "0006_endpoints_that_are_gone"),
    ]

    operations = [
        migrations.AddField(
            model_name="download",
            name="used_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="last used"),
        ),
    ]
