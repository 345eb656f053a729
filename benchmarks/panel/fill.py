"""A database as large as a panel's that has run for a month: accounts, keys, books, hits, ladder, audit log.

Everything lies in the past as the worker would have booked it: hours are sums of minutes, days of hours. One
customer is a busy one, with a row for each minute of the week; whatever a page of theirs reads is there.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import connection

EACH = 10  # keys of an account
WEEK_MINUTES = 7 * 1440
BUSY = 1  # primary key of the busy key, and of its owner

# `%(keys)s` keys of a tenth as many accounts; `%(rows)s` minute rows of each, on the hours of its own.
_STATEMENTS = (
    """
    INSERT INTO accounts_user (id, password, email, name, is_superuser, is_staff, is_active, date_joined)
    SELECT n, '!', 'customer' || n || '@example.com', 'Customer ' || n, false, false, true, %(now)s
    FROM generate_series(1, (%(keys)s + 9) / 10) n
    """,
    """
    INSERT INTO accounts_apikey
        (id, revision, owner_id, name, tier_id, status, start, "end", created_at, allowed_networks)
    SELECT n, 1, 1 + (n - 1) / 10, 'key ' || n,
        (SELECT id FROM accounts_tier WHERE slug = CASE WHEN n %% 10 = 0 THEN 'pro' ELSE 'free' END),
        CASE WHEN n %% 1000 = 7 OR (n BETWEEN 11 AND 100 AND n %% 3 = 2) THEN 'suspended'
            WHEN n %% 50 = 8 THEN 'revoked' ELSE 'active' END,
        'koala_' || left(md5(n::text), 6), right(md5(n::text), 4), %(now)s - n * interval '1 minute', '[]'
    FROM generate_series(1, %(keys)s) n
    """,
    """
    INSERT INTO accounts_keysecret (key_id, digest, pepper_version, start, "end", created_at, last_used_at)
    SELECT n, encode(sha256(n::text::bytea), 'hex'), 1,
        'koala_' || left(md5(n::text), 6), right(md5(n::text), 4), %(now)s, %(now)s
    FROM generate_series(1, %(keys)s) n
    """,
    # A few hours of the week each, every other minute of them; and, here and there, a refused minute.
    """
    INSERT INTO usage_usageminute (subject, start, admitted, failed, minute_hits, day_hits, concurrent_hits,
        blocked_hits, other_hits)
    SELECT 'k:' || n, start, 1 + (n + row) %% 25, 0, hits, 0, 0, 0, 0
    FROM generate_series(1, %(keys)s) n, generate_series(0, %(rows)s - 1) row,
        LATERAL (SELECT
            date_trunc('hour', %(now)s) - interval '1 hour' * (1 + (n * 7 + row / 30 * 11) %% 166)
                + interval '2 minutes' * (row %% 30) AS start,
            CASE WHEN (n + row) %% 41 = 0 THEN 12 ELSE 0 END AS hits) made
    ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO usage_usageminute (subject, start, admitted, failed, minute_hits, day_hits, concurrent_hits,
        blocked_hits, other_hits)
    SELECT 'k:' || %(busy)s, date_trunc('minute', %(now)s) - interval '1 minute' * m, 20, 1,
        CASE WHEN m %% 9 = 0 THEN 15 ELSE 0 END, 0, m %% 3, 0, 0
    FROM generate_series(1, least(%(week)s, %(keys)s * %(rows)s / 2)) m
    ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO usage_ratehit (subject, minute, kind, route, count, address, user_agent)
    SELECT subject, start, 'minute', 'convert', minute_hits, '203.0.113.7', 'python-requests/2.32'
    FROM usage_usageminute WHERE minute_hits > 0
    """,
    """
    INSERT INTO usage_usagehour (subject, start, admitted, failed, minute_hits, day_hits, concurrent_hits,
        blocked_hits, other_hits)
    SELECT subject, date_trunc('hour', start), sum(admitted), sum(failed), sum(minute_hits), sum(day_hits),
        sum(concurrent_hits), sum(blocked_hits), sum(other_hits)
    FROM usage_usageminute GROUP BY 1, 2
    """,
    """
    INSERT INTO usage_usageday (subject, start, bucket, admitted, failed, minute_hits, day_hits,
        concurrent_hits, blocked_hits, other_hits)
    SELECT subject, date_trunc('day', start, 'UTC'), buckets.bucket, sum(admitted), sum(failed),
        sum(minute_hits), sum(day_hits), sum(concurrent_hits), sum(blocked_hits), sum(other_hits)
    FROM usage_usagehour JOIN buckets USING (subject) GROUP BY 1, 2, 3
    """,
    """
    INSERT INTO usage_usageday (subject, start, bucket, admitted, failed, minute_hits, day_hits,
        concurrent_hits, blocked_hits, other_hits)
    SELECT subject, date_trunc('day', %(now)s, 'UTC') - interval '1 day' * d, bucket, 300 + d, 3, 7, 0, 0, 0,
        0
    FROM buckets, generate_series(8, 29) d
    """,
    """
    INSERT INTO usage_escalationevent (event_id, subject, key_id, at, cause, before, after, until, strikes,
        minute, served, refused, minute_limit, route, reason)
    SELECT 'bench:' || n || ':' || e, 'k:' || n, n, at, 'strikes', 1 + e, 2 + e, at + interval '5 minutes', 3,
        date_trunc('minute', at) - interval '1 minute', 30, 88, 30, 'convert', ''
    FROM generate_series(1, %(keys)s, 10) n, generate_series(0, 2) e,
        LATERAL (SELECT %(now)s - interval '1 hour' * (6 - e) - n * interval '1 second' AS at) made
    """,
    """
    INSERT INTO usage_escalationstate (subject, bucket, key_id, escalation, until, version, is_pending,
        "order", changed_at)
    SELECT subject, bucket, substr(subject, 3)::bigint, 4, %(now)s + interval '1 hour', 1, false, '', %(now)s
    FROM buckets WHERE substr(subject, 3)::bigint %% 10 = 1
    """,
    """
    INSERT INTO accounts_auditentry (at, actor_label, action, target_type, target_id, target_label, before,
        after, reason)
    SELECT %(now)s - n * interval '20 seconds', 'staff@example.com', (ARRAY['rotated', 'changed limits',
        'suspended'])[1 + n %% 3], 'accounts.apikey', n, 'key ' || n, '{"minute": 30}', '{"minute": 20}',
        'why'
    FROM generate_series(1, %(keys)s) n
    """,
    """
    INSERT INTO usage_bookeduntil SELECT bucket, floor(extract(epoch FROM %(now)s) / 60) - 1
    FROM generate_series(0, 63) bucket
    """,
)


def fill(keys: int, minute_rows: int, now: datetime) -> None:
    """Make `keys` keys with some `minute_rows` minute rows among them, up to the minute before `now`."""
    from accounts.models import ApiKey, User
    from tests.places import ask_for_a_replay
    from usage.books.totals import total_what_is_booked
    from usage.models import ReactivationRequest
    from usage.replay import running
    from usage.subjects import bucket_of, key_subject_id

    numbers: dict[str, Any] = {
        "keys": keys,
        "rows": max(1, minute_rows // keys),
        "busy": BUSY,
        "week": WEEK_MINUTES,
        "now": now.replace(microsecond=0),
    }
    with connection.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.execute("SET work_mem = '256MB'")
        cursor.execute("CREATE TEMPORARY TABLE buckets (subject varchar PRIMARY KEY, bucket smallint)")
        with cursor.copy("COPY buckets FROM STDIN") as copy:
            for pk in range(1, keys + 1):
                subject = key_subject_id(pk)
                copy.write_row((subject, bucket_of(subject)))
        for statement in _STATEMENTS:
            cursor.execute(statement, numbers)
        for table in ("accounts_user", "accounts_apikey"):
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"  # noqa: S608
            )
    User.objects.create_superuser("staff@example.com", "bench")
    customer = User.objects.get(pk=BUSY)
    customer.set_password("bench")
    customer.save(update_fields=["password"])
    total_what_is_booked()
    ask_for_a_replay()
    running.run_next(now)
    suspended = ApiKey.objects.filter(status=ApiKey.Status.SUSPENDED)
    ReactivationRequest.objects.bulk_create(
        ReactivationRequest(key=key, note="We wait now.", sent_at=now - timedelta(minutes=number))
        for number, key in enumerate(suspended[:200])
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
