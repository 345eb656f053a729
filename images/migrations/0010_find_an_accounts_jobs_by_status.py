"""An index by which the page about jobs finds an account's jobs of one status."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("images", "0009_one_index_for_jobs_that_wait"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="job",
            name="jobs_of_an_account",
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                fields=["owner", "status", "-created_at"], name="jobs_of_an_account_by_status"
            ),
        ),
    ]
