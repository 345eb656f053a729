"""Totals over all subjects, made from the books: what staff see of 100,000 keys without a sum over them.

Each hour that was booked anew is summed up by tier and by what refused requests, and its totals are replaced
by those sums; so are the subjects that stand out on the newest day. The watermarks move in the same
transaction. Run twice, at once, or killed anywhere and run again, it gives the same rows.
"""

import time
from datetime import datetime

from django.db import connection, transaction
from django.db.models import QuerySet, Sum

from accounts.models import Tier
from usage.limits.outcomes import ADMITTED
from usage.models import (
    BookedUntil,
    HitTotal,
    RateHit,
    TopSubject,
    TotalledUntil,
    UsageDay,
    UsageHour,
    UsageTotal,
)
from usage.models.usage import COUNTS, REFUSED
from usage.spans import HOUR, MINUTE, day_start, minute_start

TOP = 10  # subjects of each list
# The first run of all sums up what is there of the past, too; beat soon asks for the rest.
LONGEST_RUN = 40.0  # seconds

_Watermarks = dict[int, int]  # bucket -> Unix minute


def total_what_is_booked() -> int:
    """Bring the totals up to what is booked; gives how many hours were summed up.

    A run that meets another one leaves the rest to it.
    """
    stop_at = time.monotonic() + LONGEST_RUN
    # Read before the books: what is booked meanwhile is summed up now or by the next run, or by both.
    booked = _watermarks(BookedUntil.objects.all())
    totalled = _begun(booked)
    hours = _hours_between(totalled, booked)
    for number, hour in enumerate(hours):
        if time.monotonic() > stop_at:
            return number
        last_minute = hour * 60 + 59
        until = {bucket: max(totalled[bucket], min(booked[bucket], last_minute)) for bucket in booked}
        top = _top(day_start(minute_start(max(booked.values())))) if hour == hours[-1] else None
        if not _total(minute_start(hour * 60), top, totalled, until):
            return number
        totalled |= until
    return len(hours)


def _watermarks(rows: "QuerySet[BookedUntil] | QuerySet[TotalledUntil]") -> _Watermarks:
    return {row.bucket: row.minute for row in rows}


def _begun(booked: _Watermarks) -> _Watermarks:
    """The totals' watermarks: one for each that the books have, so that it can be locked."""
    totalled = _watermarks(TotalledUntil.objects.all())
    if missing := sorted(booked.keys() - totalled.keys()):
        rows = [TotalledUntil(bucket=bucket, minute=0) for bucket in missing]
        TotalledUntil.objects.bulk_create(rows, ignore_conflicts=True)
        totalled = _watermarks(TotalledUntil.objects.all())
    return totalled


def _hours_between(totalled: _Watermarks, booked: _Watermarks) -> list[int]:
    """The Unix hours in which a bucket was booked beyond its totals, the oldest first."""
    ahead = {bucket: minute for bucket, minute in booked.items() if minute > totalled[bucket]}
    if not ahead:
        return []
    first_of_all = max(ahead.values()) // 60
    if not all(totalled[bucket] for bucket in ahead):
        oldest = UsageHour.objects.order_by("start").values_list("start", flat=True).first()
        first_of_all = first_of_all if oldest is None else int(oldest.timestamp()) // 3600
    hours: set[int] = set()
    for bucket, minute in ahead.items():
        first = (totalled[bucket] + 1) // 60 if totalled[bucket] else first_of_all
        hours.update(range(first, minute // 60 + 1))
    return sorted(hours)


def _total(hour: datetime, top: list[TopSubject] | None, totalled: _Watermarks, until: _Watermarks) -> bool:
    """Replace the totals of an hour, and move the watermarks with it; `False` if another run was faster."""
    # Summed up before the transaction: SQLite has one writer at a time, who shouldn't wait for a sum.
    totals, hits = _by_tier(hour), _by_kind(hour)
    with transaction.atomic():
        # Locked until the end, so that two runs can't write by turns, nor the slower one older sums.
        if _watermarks(TotalledUntil.objects.select_for_update().order_by("bucket")) != totalled:
            return False
        UsageTotal.objects.filter(start=hour).delete()
        UsageTotal.objects.bulk_create(totals)
        HitTotal.objects.filter(start=hour).delete()
        HitTotal.objects.bulk_create(hits)
        if top is not None:
            TopSubject.objects.all().delete()
            TopSubject.objects.bulk_create(top)
        TotalledUntil.objects.bulk_create(
            [TotalledUntil(bucket=bucket, minute=minute) for bucket, minute in sorted(until.items())],
            update_conflicts=True,
            unique_fields=["bucket"],
            update_fields=["minute"],
        )
    return True


def _by_tier(hour: datetime) -> list[UsageTotal]:
    """A sum of the hour for each tier: in one statement that SQLite and PostgreSQL both know."""
    quote = connection.ops.quote_name
    # A key's number is in its subject's text. (A cast is asked for of those alone: a network is no number.)
    key_id = "CASE WHEN SUBSTR(usage.subject, 1, 2) = 'k:' THEN CAST(SUBSTR(usage.subject, 3) AS bigint) END"
    sums = ", ".join(f"SUM(usage.{quote(name)})" for name in COUNTS)
    sql = (
        f"SELECT COALESCE(tier.slug, CASE WHEN {key_id} IS NULL THEN %s ELSE '' END), {sums}"  # noqa: S608 (names of our own)
        " FROM usage_usagehour AS usage"
        f" LEFT JOIN accounts_apikey AS apikey ON apikey.id = {key_id}"
        " LEFT JOIN accounts_tier AS tier ON tier.id = apikey.tier_id"
        " WHERE usage.start = %s GROUP BY 1"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [Tier.ANONYMOUS, connection.ops.adapt_datetimefield_value(hour)])
        return [
            UsageTotal(start=hour, tier=slug, **dict(zip(COUNTS, map(int, counts), strict=True)))
            for slug, *counts in cursor.fetchall()
        ]


def _by_kind(hour: datetime) -> list[HitTotal]:
    hits = RateHit.objects.between(hour, hour + HOUR - MINUTE).order_by()
    return [
        HitTotal(start=hour, kind=kind, count=count)
        for kind, count in hits.values_list("kind").annotate(Sum("count"))
    ]


def _top(day: datetime) -> list[TopSubject]:
    """Of a day, the subjects that were served the most, and those that were refused the most."""
    rows = UsageDay.objects.filter(start=day).annotate(hits=REFUSED)
    top = []
    for by, count in ((TopSubject.By.SERVED, ADMITTED), (TopSubject.By.REFUSED, "hits")):
        # Of two that have as many, always the same one is first.
        first = rows.filter(**{f"{count}__gt": 0}).order_by(f"-{count}", "subject")
        for rank, (subject, served, refused) in enumerate(
            first.values_list("subject", ADMITTED, "hits")[:TOP], start=1
        ):
            top.append(TopSubject(by=by, rank=rank, day=day, subject=subject, served=served, refused=refused))
    return top
