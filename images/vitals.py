"""How the queue of jobs and the webhooks do: see `usage.vitals`."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Min, QuerySet, Value

from images.models import Job, WebhookDelivery
from usage import vitals
from usage.vitals import Level, Vital

# Counting further would cost more than the number is worth.
MOST = 1000
# Jobs that wait while none runs, and events that are due and not sent: by then somebody should have come.
TOO_LONG = timedelta(minutes=2)
NEARLY_FULL = 80  # per cent of the pool's queue


def register() -> None:
    vitals.register(vitals_of_images)


def vitals_of_images(now: datetime) -> list[Vital]:
    """Both; one query, in which nothing is looked at but what waits or runs."""
    queued = Job.objects.filter(status=Job.Status.QUEUED)
    running = Job.objects.filter(status=Job.Status.RUNNING)
    due = WebhookDelivery.objects.filter(next_attempt_at__isnull=False).order_by("next_attempt_at")
    some = WebhookDelivery.objects.filter(pk__in=due.values("pk")[: MOST + 1])
    rows = _counted("queued", queued, "created_at").union(
        _counted("running", running, "started_at"), _counted("due", some, "next_attempt_at"), all=True
    )
    found = {name: (number, oldest) for name, number, oldest in rows}
    none: tuple[int, datetime | None] = (0, None)
    return [
        _jobs(found.get("running", none)[0], *found.get("queued", none), now),
        _webhooks(*found.get("due", none), now),
    ]


def _counted(name: str, rows: QuerySet[Any], oldest: str) -> QuerySet[Any]:
    """A row: the name, how many there are, and the time of the oldest."""
    counted: QuerySet[Any] = (
        rows.order_by()
        .values(name=Value(name))
        .annotate(number=Count("pk"), oldest=Min(oldest))
        .values_list("name", "number", "oldest")
    )
    return counted


def _jobs(running: int, queued: int, oldest: datetime | None, now: datetime) -> Vital:
    limit = settings.POOL_QUEUE_LIMIT
    level, says = Level.OK, "Jobs are worked on" if running else "Nothing to do"
    if queued >= limit:
        level, says = Level.FULL, "The queue is full: new jobs are refused"
    elif queued * 100 >= limit * NEARLY_FULL:
        level, says = Level.NEAR, "The queue is nearly full"
    elif oldest is not None and not running and now - oldest > TOO_LONG:
        level, says = Level.FULL, "Jobs wait, and no worker takes them"
    facts: list[tuple[str, str | int | datetime]] = [
        ("Running", running),
        ("Queued", f"{queued:,} of {limit:,}"),
    ]
    if oldest is not None:
        facts.append(("Oldest waits since", oldest))
    return Vital("Jobs", "stack-2", level, says, facts)


def _webhooks(owed: int, due: datetime | None, now: datetime) -> Vital:
    level, says = Level.OK, "Nothing owed" if not owed else "On their way"
    if due is not None and now - due > TOO_LONG:
        level, says = Level.NEAR, "Due, and not sent"
    facts: list[tuple[str, str | int | datetime]] = [("Owed", f"{MOST:,}+" if owed > MOST else owed)]
    if due is not None:
        facts.append(("Next is due at", due))
    return Vital("Webhooks", "webhook", level, says, facts)
