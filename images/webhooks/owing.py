"""Owing an event: a row, written in the transaction that ends the job."""

from images.models import Job, WebhookDelivery


def owe(job: Job) -> None:
    """Owe the event that `job` has ended to the address it was submitted with, if there is one."""
    if job.webhook_id is None:
        return
    event = WebhookDelivery.Event
    WebhookDelivery.objects.create(
        endpoint_id=job.webhook_id,
        job=job,
        event=event.COMPLETED if job.status == Job.Status.DONE else event.FAILED,
    )
