"""What the workers do for this app."""

from celery import shared_task

from images.queue import attempts, cleaning, recovering, waking
from images.webhooks import sending
from images.webhooks.waking import SEND_WEBHOOKS


# Acknowledged when it is read: SQL knows of a job whose worker dies, and the next message is as good.
@shared_task(name=waking.WORK, acks_late=False)
def work() -> None:
    attempts.work()


# Acknowledged when it is read: what a worker that dies leaves undone is due again when its claims are over.
@shared_task(name=SEND_WEBHOOKS, acks_late=False, time_limit=sending.HARD_LIMIT)
def send_webhooks() -> None:
    sending.send_what_is_due()


@shared_task
def recover_jobs() -> None:
    recovering.recover_jobs()


@shared_task
def remove_what_is_over() -> None:
    cleaning.remove_what_is_over()
