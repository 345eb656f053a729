"""Owing an event: a row, written in the transaction that ends the job."""

from django.db import transaction

from images.models import Job, WebhookDelivery
from images.webhooks.waking import wake


def owe(job: Job) -> None:
    """Owe the event that `job` has ended to the address it was submitted with, if there is one."""
    if job.webhook_id is None or job.owner_id is None:
        return
    event = WebhookDelivery.Event
    WebhookDelivery.objects.create(
        owner_id=job.owner_id,
        endpoint_id=job.webhook_id,
        job=job,
        about=job.pk,
        event=event.COMPLETED if job.status == Job.Status.DONE else event.FAILED,
    )
    transaction.on_commit(wake, robust=True)
