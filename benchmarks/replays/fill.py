"""Put a week of many keys into the books; asked by a JSON object on standard input (`Week`).

Keys work in sessions: some minutes in a row, at any time of the week. In most minutes they ask for 1 to 15.
Some keys overdo it: in some of their sessions they ask for 16 to 60 in each minute. Prints how many rows.
"""

import json
import sys

import django
from django.core.management import call_command

from benchmarks.replays.week import FIRST_DAY, NOW

LIMIT = 30  # a minute, of the tier that all are in
TABLES = (
    "usage_usageminute, usage_usagehour, usage_usageday, usage_bookeduntil, usage_replay, accounts_apikey"
)


def main() -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    week = json.load(sys.stdin)

    from django.db import connection

    from accounts.models import ApiKey, Tier, User
    from usage.subjects import BUCKETS, bucket_of, key_subject_id

    minutes = int((NOW - FIRST_DAY).total_seconds()) // 60
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLES} CASCADE")
        owner, _ = User.objects.get_or_create(email="bench@example.com")
        tier = Tier.objects.get(slug="free")
        # One in fifty has a limit of its own, which the proposal doesn't touch.
        own: list[dict[str, int]] = [{"minute_override": 60}, *[{}] * 49]
        keys = [
            ApiKey(owner=owner, name="bench", tier=tier, start=f"koala_{n}", **own[n % 50])
            for n in range(week["keys"])
        ]
        ApiKey.objects.bulk_create(keys, batch_size=5000)
        subjects = [key_subject_id(key.pk) for key in keys]
        overdoing = [n % 100 < week["percent_overdoing"] for n in range(len(keys))]
        cursor.execute("SELECT setseed(0.5)")
        cursor.execute("CREATE TEMPORARY TABLE active (subject varchar, overdoes boolean, bucket smallint)")
        cursor.execute(
            "INSERT INTO active SELECT * FROM unnest(%s::text[], %s::bool[], %s::int[])",
            [subjects, overdoing, list(map(bucket_of, subjects))],
        )
        # Each session has a stretch of the week to itself: none meets another. In the order of booking.
        cursor.execute(
            """
            INSERT INTO usage_usageminute (subject, start, admitted, failed, minute_hits, day_hits,
              concurrent_hits, blocked_hits, other_hits)
            SELECT subject, %(first)s + make_interval(mins => minute), LEAST(demand, %(limit)s), 0,
              GREATEST(demand - %(limit)s, 0), 0, 0, 0, 0
            FROM (
              SELECT subject, bucket, began + n AS minute,
                CASE WHEN is_bad THEN 16 + floor(random() * 45)::int ELSE 1 + floor(random() * 15)::int END
                  AS demand
              FROM (
                SELECT subject, bucket, overdoes AND number < %(bad)s AS is_bad,
                  number * (%(minutes)s / %(sessions)s)
                    + floor(random() * (%(minutes)s / %(sessions)s - %(length)s))::int AS began
                FROM active, generate_series(0, %(sessions)s - 1) AS number
              ) AS sessions, generate_series(0, %(length)s - 1) AS n
            ) AS asked
            ORDER BY minute, bucket
            """,
            {
                "first": FIRST_DAY,
                "limit": LIMIT,
                "minutes": minutes,
                "sessions": week["sessions"],
                "length": week["minutes_each"],
                "bad": week["bad_sessions"],
            },
        )
        rows = cursor.rowcount
        cursor.execute(
            """
            INSERT INTO usage_usageday (subject, start, bucket, admitted, failed, minute_hits, day_hits,
              concurrent_hits, blocked_hits, other_hits)
            SELECT subject, date_trunc('day', start, 'UTC'), 0, SUM(admitted), 0, SUM(minute_hits), 0, 0, 0, 0
            FROM usage_usageminute GROUP BY 1, 2
            """
        )
        cursor.execute(
            "INSERT INTO usage_bookeduntil SELECT bucket, %s FROM generate_series(0, %s) AS bucket",
            [int(NOW.timestamp()) // 60 - 1, BUCKETS - 1],
        )
        # What autovacuum does within a minute of such a change.
        cursor.execute("VACUUM ANALYZE")
    json.dump({"rows": rows}, sys.stdout)


if __name__ == "__main__":
    main()
