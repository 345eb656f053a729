from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_let_owners_switch_quota_emails_off"),
        ("usage", "0003_seed_the_ladder"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="notice",
            name="notice_unsent_due",
        ),
        migrations.AddField(
            model_name="notice",
            name="given_up_at",
            field=models.DateTimeField(blank=True, help_text="Nobody would have gained by it.", null=True),
        ),
        migrations.AddIndex(
            model_name="notice",
            index=models.Index(
                condition=models.Q(("given_up_at", None), ("sent_at", None)),
                fields=["due_at"],
                name="notice_waiting_due",
            ),
        ),
    ]
