"""Put a minute of many active keys into the limit store, and what was booked before it into the database.

Asked by a JSON object on standard input (`benchmarks.flush.Case`); prints what must be booked, as JSON.
"""

import json
import sys
from collections import Counter
from typing import Any

import django
from django.core.management import call_command
from django.db.backends.utils import CursorWrapper

from benchmarks.books.day import DAY_START, LAST_MINUTE

SAMPLE = b"203.0.113.7\ncurl/8.14.1 (a client that is told to wait)"
TABLES = (
    "usage_usageminute, usage_usagehour, usage_usageday, usage_ratehit, usage_bookeduntil, usage_notice,"
    " usage_usagetotal, usage_hittotal, usage_topsubject, usage_totalleduntil"
)


def main() -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    case = json.load(sys.stdin)
    subjects = _subjects(case["subjects"])
    _fill_database(subjects, case["minutes_before"])
    json.dump(_fill_store(subjects), sys.stdout)


def _subjects(number: int) -> list[str]:
    """The subjects of so many keys, which are made where they aren't there yet."""
    from accounts.models import ApiKey, Tier, User
    from usage.subjects import key_subject_id

    owner, _ = User.objects.get_or_create(email="bench@example.com")
    tier = Tier.objects.get(slug="pro")
    there = ApiKey.objects.count()
    new = (
        ApiKey(
            owner=owner,
            name="bench",
            tier=tier,
            start=f"koala_{n}",
            # Every hundredth is so near its limit that its owner is owed an email.
            day_override=1500 if n % 100 == 0 else 1_000_000,
        )
        for n in range(there, number)
    )
    ApiKey.objects.bulk_create(new, batch_size=5000)
    return [key_subject_id(pk) for pk in ApiKey.objects.order_by("pk").values_list("pk", flat=True)[:number]]


def _fill_database(subjects: list[str], minutes_before: int) -> None:
    """One admitted request of each subject in each of the minutes before, in the order of booking.

    Minutes themselves only as far as the last one's hour goes: others are never looked at.
    """
    from django.db import connection

    from usage.subjects import BUCKETS, bucket_of

    buckets = [bucket_of(subject) for subject in subjects]
    hours, minutes = divmod(minutes_before, 60)
    last_hour = DAY_START + hours * 3600
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLES}")
        cursor.execute("CREATE TEMPORARY TABLE active (subject varchar, bucket smallint)")
        cursor.execute("INSERT INTO active SELECT * FROM unnest(%s::text[], %s::int[])", [subjects, buckets])
        _book(cursor, "usage_usageminute", last_hour, minutes, 60, admitted=1)
        _book(cursor, "usage_usagehour", DAY_START, hours, 3600, admitted=60)
        _book(cursor, "usage_usagehour", last_hour, 1 if minutes else 0, 3600, admitted=minutes)
        _book(
            cursor, "usage_usageday", DAY_START, 1 if minutes_before else 0, 86_400, admitted=minutes_before
        )
        cursor.execute(
            "INSERT INTO usage_bookeduntil SELECT bucket, %s FROM generate_series(0, %s) AS bucket",
            [LAST_MINUTE - 1, BUCKETS - 1],
        )
        # What autovacuum does within a minute of such a change.
        cursor.execute(f"ANALYZE {TABLES}")


def _book(cursor: CursorWrapper, table: str, start: int, number: int, length: int, admitted: int) -> None:
    """Rows of every active subject for so many spans of `length` seconds from `start`."""
    bucket = ", bucket" if table == "usage_usageday" else ""
    cursor.execute(
        f"INSERT INTO {table} (subject, start, admitted, failed, minute_hits, day_hits, concurrent_hits,"  # noqa: S608
        f" blocked_hits, other_hits{bucket})"
        f" SELECT subject, to_timestamp(%s + %s * n), %s, 0, 0, 0, 0, 0, 0{bucket}"
        " FROM active, generate_series(0, %s - 1) AS n ORDER BY n, active.bucket",
        [start, length, admitted, number],
    )


def _fill_store(subjects: list[str]) -> dict[str, int]:
    """Every subject on two routes, each with an error among its answers; a third of them was refused, too."""
    import redis
    from django.conf import settings

    from usage.limits.store import PREFIX
    from usage.subjects import bucket_of

    store = redis.Redis.from_url(settings.LIMITS_URL)
    store.flushall()
    pipeline = store.pipeline(transaction=False)
    totals: Counter[str] = Counter()
    for number, subject in enumerate(subjects):
        counts = {"convert|admitted": 12, "compress|admitted": 3, "convert|failed": 1}
        if number % 3 == 0:
            counts |= {"convert|minute": 40, "compress|concurrent": 2}
            sample: dict[Any, Any] = {
                f"{subject}|convert|minute": SAMPLE,
                f"{subject}|compress|concurrent": SAMPLE,
            }
            pipeline.hset(f"{PREFIX}:{{{bucket_of(subject)}}}:hs:{LAST_MINUTE}", mapping=sample)
        pipeline.hset(
            f"{PREFIX}:{{{bucket_of(subject)}}}:u:{LAST_MINUTE}",
            mapping={f"{subject}|{field}": count for field, count in counts.items()},
        )
        for field, count in counts.items():
            totals[field.partition("|")[2]] += count
        if number % 1000 == 0:
            pipeline.execute()
    pipeline.execute()
    return totals


if __name__ == "__main__":
    main()
