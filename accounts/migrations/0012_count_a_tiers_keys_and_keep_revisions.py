"""Indexes by which staff's pages count the keys of a tier; and the revision that an audited action left."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0011_the_audit_log_page_by_page"),
    ]

    operations = [
        migrations.AddField(
            model_name="auditentry",
            name="revision",
            field=models.PositiveBigIntegerField(editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="apikey",
            index=models.Index(
                condition=models.Q(("status", "revoked"), _negated=True),
                fields=["tier"],
                name="api_keys_in_force",
            ),
        ),
        migrations.AddIndex(
            model_name="apikey",
            index=models.Index(
                condition=models.Q(
                    ("minute_override__isnull", False),
                    ("day_override__isnull", False),
                    ("concurrent_override__isnull", False),
                    ("parallel_override__isnull", False),
                    ("queued_override__isnull", False),
                    _connector="OR",
                ),
                fields=["tier"],
                name="api_keys_with_overrides",
            ),
        ),
    ]
