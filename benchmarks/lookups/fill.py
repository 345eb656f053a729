"""Make as many keys as a large panel has; prints, as JSON, the texts of some that the others lie around.

Asked by a JSON object on standard input: `keys`, and `texts`, how many of them are to have one.
"""

import json
import random
import sys
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command

KEYS_OF_AN_ACCOUNT = 10
SEED = 1  # the same keys each time


def main() -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    asked: dict[str, int] = json.load(sys.stdin)
    json.dump(_fill(asked["keys"], asked["texts"]), sys.stdout)


def _fill(keys: int, number: int) -> list[str]:
    from django.db import connection

    from accounts import api_keys
    from accounts.models import Tier

    version = max(settings.KEY_PEPPERS)
    chosen = random.Random(SEED).sample(range(1, keys + 1), number)
    texts = {key: api_keys.new_text() for key in chosen}
    digests = [
        (key, api_keys._digest(text, settings.KEY_PEPPERS[version]), text[: api_keys.VISIBLE_START])
        for key, text in texts.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE known (n int PRIMARY KEY, digest varchar, start varchar)")
        with cursor.copy("COPY known FROM STDIN") as copy:
            for row in digests:
                copy.write_row(row)
        cursor.execute("ANALYZE known")
        for statement in _STATEMENTS:
            cursor.execute(
                statement,
                {
                    "keys": keys,
                    "accounts": -(-keys // KEYS_OF_AN_ACCOUNT),
                    "each": KEYS_OF_AN_ACCOUNT,
                    "tier": Tier.objects.get(slug=Tier.FREE).pk,
                    "version": version,
                },
            )
    return list(texts.values())


# Digests are of something else where no text is needed: nobody can tell. Every tenth key was rotated once.
_STATEMENTS: tuple[Any, ...] = (
    """
    INSERT INTO accounts_user (id, password, email, name, is_superuser, is_staff, is_active, date_joined)
    SELECT n, '!', 'customer' || n || '@example.com', 'Customer ' || n, false, false, true, now()
    FROM generate_series(1, %(accounts)s) n
    """,
    """
    INSERT INTO accounts_apikey
        (id, revision, owner_id, name, tier_id, status, start, "end", created_at, allowed_networks)
    SELECT n, 1, 1 + (n - 1) / %(each)s, 'key ' || n, %(tier)s, 'active',
        coalesce(known.start, 'koala_' || left(md5(n::text), 6)), right(md5(n::text), 4), now(), '[]'
    FROM generate_series(1, %(keys)s) n LEFT JOIN known USING (n)
    """,
    """
    INSERT INTO accounts_keysecret (key_id, digest, pepper_version, start, "end", created_at, retires_at)
    SELECT n, encode(sha256(('old' || n)::bytea), 'hex'), %(version)s,
        'koala_' || left(md5('old' || n), 6), right(md5('old' || n), 4), now(), now()
    FROM generate_series(10, %(keys)s, 10) n
    """,
    """
    INSERT INTO accounts_keysecret (key_id, digest, pepper_version, start, "end", created_at)
    SELECT n, coalesce(known.digest, encode(sha256(n::text::bytea), 'hex')), %(version)s,
        coalesce(known.start, 'koala_' || left(md5(n::text), 6)), right(md5(n::text), 4), now()
    FROM generate_series(1, %(keys)s) n LEFT JOIN known USING (n)
    """,
    "VACUUM ANALYZE accounts_user, accounts_apikey, accounts_keysecret",
)


if __name__ == "__main__":
    main()
