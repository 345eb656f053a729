"""How the panel's own parts do: limit store, database, worker, mail."""

import time
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import redis
from django.db import connection
from django.db.models import Count, DateTimeField, Min, QuerySet, Value
from django.db.models.functions import Cast
from django.template.defaultfilters import filesizeformat

from accounts.mail import outboxes
from accounts.mail.outboxes import Outbox
from usage import vitals
from usage.limits.health import health_of_store, is_store_down
from usage.models import BookedUntil, TaskRun
from usage.spans import minute_start
from usage.staff.degraded import LATE
from usage.task_runs import BOOK, FOLLOW
from usage.vitals import Level, Vital

MOST = 1000  # counting further would cost more than the number is worth
SLOW_PING_MS = 50.0  # a decision waits no longer than that
NEARLY_FULL = 85  # per cent of the store's memory: when it is full it refuses to write
# Mail is tried every five seconds; what waits for longer was refused, or nobody sends it.
LATE_MAIL = timedelta(minutes=10)

_BOOKED, _MAIL = "booked", "mail"  # what a row of SQL tells of; any other is a task's name

Facts = list[tuple[str, str | int | datetime]]


def books_and_vital_signs(now: datetime) -> tuple[datetime | None, list[Vital]]:
    """Where the books end, and all vital signs, those of the apps above included: one query, and theirs."""
    began = time.perf_counter()
    asked = _asked()
    query_ms = (time.perf_counter() - began) * 1000
    worker, mail = _worker(asked, now), _mail(asked, now)
    return asked.booked_until, [_store(), worker, *vitals.registered(now), mail, _database(query_ms)]


def _store() -> Vital:
    name, icon = "Limit store", "gauge"
    try:
        told = {} if is_store_down() else health_of_store().ask()
    except redis.RedisError:
        told = {}
    if not told:
        return Vital(name, icon, Level.FULL, "Can't be reached")
    used, most = int(told.get("used_memory", 0)), int(told.get("maxmemory", 0))
    level, says = Level.OK, "Decides within its time"
    if told["ping_ms"] > SLOW_PING_MS:
        level, says = Level.NEAR, "Answers slowly"
    if most and used * 100 >= most * NEARLY_FULL:
        level, says = Level.FULL, "Its memory is nearly full: then it refuses to count"
    persistence, is_well = _persistence(told)
    if not is_well:
        level, says = Level.FULL, "Can't write to its disk"
    memory = (
        f"{filesizeformat(used)} of {filesizeformat(most)}" if most else f"{filesizeformat(used)}, no limit"
    )
    facts: Facts = [("Ping", f"{told['ping_ms']:.1f} ms"), ("Memory", memory), ("On disk", persistence)]
    return Vital(name, icon, level, says, facts)


def _persistence(told: dict[str, Any]) -> tuple[str, bool]:
    """What outlives a restart of the store, and whether that is well. (Blocks outlive it in SQL.)"""
    if told.get("aof_enabled"):
        return "append-only file", told.get("aof_last_write_status") == "ok"
    if told.get("rdb_saves") or told.get("rdb_last_load_keys_loaded"):
        return "snapshots", told.get("rdb_last_bgsave_status") == "ok"
    return "nothing: a restart loses minutes that run", True


class _Asked(NamedTuple):
    """What SQL tells: the end of the books, when each task was last done, and what mail is owed."""

    booked_until: datetime | None
    runs: dict[str, datetime]
    owed: int
    oldest: datetime | None


def _asked() -> _Asked:
    """One query."""
    booked = (
        BookedUntil.objects.order_by()
        .values(what=Value(_BOOKED), time=Cast(Value(None), DateTimeField()))
        .annotate(number=Min("minute"))
        .values_list("what", "time", "number")
    )
    runs = TaskRun.objects.order_by().values_list("name", "at", Value(0))
    booked_until, found = None, {}
    owed, since = 0, []
    for what, at, number in booked.union(runs, *map(_waiting, outboxes.registered()), all=True):
        if what == _BOOKED:
            booked_until = None if number is None else minute_start(number + 1)
        elif what != _MAIL:
            found[what] = at
        elif at is not None:
            owed += number
            since.append(at)
    return _Asked(booked_until, found, owed, min(since, default=None))


def _waiting(box: Outbox[Any]) -> QuerySet[Any]:
    """What waits in an outbox, as a row of that query."""
    some = box.mails.waiting().order_by("due_at").values("pk")[: MOST + 1]
    mails: QuerySet[Any] = box.mails.model._default_manager.filter(pk__in=some)
    row: QuerySet[Any] = (
        mails.order_by()
        .values(what=Value(_MAIL))
        .annotate(time=Min("created_at"), number=Count("pk"))
        .values_list("what", "time", "number")
    )
    return row


def _worker(asked: _Asked, now: datetime) -> Vital:
    booked_until, runs, _, _ = asked
    name, icon = "Worker", "refresh"
    facts: Facts = []
    if booked_until is not None:
        behind = max(0, int((now - booked_until).total_seconds()))
        facts += [("Booked until", booked_until), ("Behind", f"{behind:,} s")]
    facts += [
        (title, runs[task])
        for title, task in (("Last booked", BOOK), ("Last followed", FOLLOW))
        if task in runs
    ]
    if booked_until is None and not runs:
        return Vital(name, icon, Level.FULL, "Has never run: start it, and beat")
    newest = max(runs.values(), default=None)
    if newest is None or now - newest > LATE:
        return Vital(name, icon, Level.FULL, "Does nothing: see that it runs, and beat", facts)
    if booked_until is None or now - booked_until > LATE:
        return Vital(name, icon, Level.FULL, "Runs, but does not get to book", facts)
    return Vital(name, icon, Level.OK, "Keeps up", facts)


def _mail(asked: _Asked, now: datetime) -> Vital:
    """Of all outboxes."""
    _, _, owed, oldest = asked
    level, says = Level.OK, "Nothing owed" if not owed else "On its way"
    if oldest is not None and now - oldest > LATE_MAIL:
        level, says = Level.NEAR, "Waits: see the records of mail for why"
    facts: Facts = [("Owed", f"{MOST:,}+" if owed > MOST else owed)]
    if oldest is not None:
        facts.append(("Oldest is from", oldest))
    return Vital("Mail", "mail", level, says, facts)


def _database(query_ms: float) -> Vital:
    version = ".".join(map(str, connection.get_database_version()))
    product = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}.get(connection.vendor, connection.vendor)
    return Vital(
        *("Database", "database", Level.OK, "Answers"),
        [("Query", f"{query_ms:.1f} ms"), ("Is", f"{product} {version}")],
    )
