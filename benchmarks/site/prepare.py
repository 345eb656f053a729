"""Migrate a fresh database and issue the keys the load is sent with; prints them as JSON, by name."""

import json
import os

import django
from django.core.management import call_command

NEVER_REACHED = {"minute_override": 10**9, "day_override": 10**9, "concurrent_override": 10**6}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.site.settings")
    django.setup()
    call_command("migrate", verbosity=0)

    from accounts import api_keys
    from accounts.models import User

    owner = User.objects.create_user("bench@example.com")
    _, admitted = api_keys.issue(owner, name="admitted", tier=None, **NEVER_REACHED)
    _, refused = api_keys.issue(owner, name="refused", tier=None, **{**NEVER_REACHED, "minute_override": 1})
    print(json.dumps({"admitted": admitted, "refused": refused}))


if __name__ == "__main__":
    main()
