"""What a client did that had been told to wait: for pages that explain a block."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("usage", "0008_give_staff_roles_their_part_of_the_ladder"),
    ]
    operations = [
        migrations.AddField(
            model_name="ratehit",
            name="told_seconds",
            field=models.PositiveIntegerField(blank=True, help_text="To wait, before it.", null=True),
        ),
        migrations.AddField(
            model_name="ratehit",
            name="waited_ms",
            field=models.PositiveIntegerField(blank=True, help_text="Instead.", null=True),
        ),
    ]
