"""What the workers do for this app."""

from celery import current_app, shared_task
from celery.signals import worker_ready, worker_shutting_down

from images.pictures import box
from images.queue import attempts, cleaning, mending, orphans, recovering, waking
from images.webhooks import keeping, sending
from images.webhooks.waking import SEND_WEBHOOKS


# Acknowledged when it is read: SQL knows of a job whose worker dies, and the next message is as good.
@shared_task(name=waking.WORK, acks_late=False)
def work() -> None:
    attempts.work()


@worker_ready.connect
def load_the_decoders(**signal: object) -> None:
    """In a worker for jobs: before the first job comes, which would wait for a second."""
    if waking.QUEUE in current_app.amqp.queues.consume_from:
        box.begin()


@worker_shutting_down.connect
def give_jobs_back(**signal: object) -> None:
    attempts.stop()


# Acknowledged when it is read: what a worker that dies leaves undone is due again when its claims are over.
@shared_task(name=SEND_WEBHOOKS, acks_late=False, time_limit=sending.HARD_LIMIT)
def send_webhooks() -> None:
    sending.send_what_is_due()


@shared_task
def forget_old_webhooks() -> None:
    keeping.forget_what_is_old()


@shared_task
def recover_jobs() -> None:
    recovering.recover_jobs()


@shared_task
def remove_what_is_over() -> None:
    cleaning.remove_what_is_over()


@shared_task
def mend_queues() -> None:
    recovering.fail_ignored_jobs()
    mending.mend_numbers()
    mending.remove_idle_queues()


@shared_task
def remove_orphans() -> None:
    orphans.remove_orphans()
