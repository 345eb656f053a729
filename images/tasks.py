"""What the workers do for this app."""

from celery import shared_task

from images.queue import attempts, cleaning, recovering, waking


# Acknowledged when it is read: SQL knows of a job whose worker dies, and the next message is as good.
@shared_task(name=waking.WORK, acks_late=False)
def work() -> None:
    attempts.work()


@shared_task
def recover_jobs() -> None:
    recovering.recover_jobs()


@shared_task
def remove_what_is_over() -> None:
    cleaning.remove_what_is_over()
