"""Jobs that wait or run go into their account's queue, which counts them. Nothing is undone by going back."""

from django.db import migrations
from django.db.models import Count, F, Q


def queue_jobs(apps, schema_editor):
    Job = apps.get_model("images", "Job")
    AccountQueue = apps.get_model("images", "AccountQueue")
    unfinished = Job.objects.filter(status__in=("queued", "running"))
    unfinished.filter(status="running").update(seen_at=F("started_at"))
    counts = unfinished.values_list("owner_id", "subject_id").annotate(
        queued=Count("pk", filter=Q(status="queued")), running=Count("pk", filter=Q(status="running"))
    )
    for owner_id, subject_id, queued, running in counts.order_by("owner_id", "subject_id"):
        name = subject_id if owner_id is None else f"a:{owner_id}"
        queue, _ = AccountQueue.objects.get_or_create(pk=name)
        AccountQueue.objects.filter(pk=name).update(
            queued=F("queued") + queued, running=F("running") + running
        )
        unfinished.filter(owner_id=owner_id, subject_id=subject_id).update(queue=queue)
    Job.objects.filter(status__in=("done", "failed")).update(progress=100)


class Migration(migrations.Migration):
    dependencies = [
        ("images", "0003_account_queues_and_webhooks"),
    ]

    operations = [migrations.RunPython(queue_jobs, migrations.RunPython.noop)]
