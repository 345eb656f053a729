from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_seed_the_three_tiers"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="wants_quota_emails",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="Emails about blocks and suspensions are sent in any case.",
                verbose_name="mail at 80 % and 100 % of the day",
            ),
        ),
    ]
