import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, OuterRef, Subquery


def say_whose_and_about_what(apps, schema_editor):
    """Deliveries that are there already, if any: the account is their endpoint's."""
    endpoints = apps.get_model("images", "WebhookEndpoint").objects
    deliveries = apps.get_model("images", "WebhookDelivery").objects
    owner = endpoints.filter(pk=OuterRef("endpoint_id")).values("owner_id")[:1]
    deliveries.update(owner_id=Subquery(owner))
    deliveries.exclude(job=None).update(about=F("job_id"))


class Migration(migrations.Migration):
    dependencies = [
        ("images", "0004_queue_the_jobs_that_wait"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="webhookendpoint",
            name="last_used_at",
            field=models.DateTimeField(default=django.utils.timezone.now, verbose_name="last used"),
        ),
        migrations.AddField(
            model_name="webhookdelivery",
            name="about",
            field=models.CharField(
                blank=True, default="", editable=False, max_length=32, verbose_name="job's id"
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="webhookdelivery",
            name="note",
            field=models.CharField(blank=True, default="", max_length=200),
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name="webhookdelivery",
            name="status",
            field=models.CharField(
                choices=[
                    ("waiting", "Waiting"),
                    ("sending", "Sending"),
                    ("delivered", "Delivered"),
                    ("failed", "Failed"),
                ],
                default="waiting",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="webhookdelivery",
            name="owner",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="webhook_deliveries",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.RunPython(say_whose_and_about_what, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="webhookdelivery",
            name="owner",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="webhook_deliveries",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.RemoveIndex(model_name="webhookdelivery", name="webhooks_of_an_endpoint"),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(fields=["owner", "-created_at"], name="webhooks_of_an_account"),
        ),
    ]
