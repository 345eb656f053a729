"""Migrate a fresh database and issue the keys the load is sent with; prints them as JSON, by name."""

import json
import os
from datetime import timedelta

import django
from django.core.management import call_command
from django.utils import timezone

NEVER_REACHED = {"minute_override": 10**9, "day_override": 10**9, "concurrent_override": 10**6}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.site.settings")
    django.setup()
    call_command("migrate", verbosity=0)

    from accounts import api_keys
    from accounts.models import User
    from usage.models import EscalationPolicy, EscalationState
    from usage.subjects import bucket_of, key_subject_id

    # Whoever hammers for the benchmark's sake stays where it is on the ladder.
    policy = EscalationPolicy.objects.get()
    policy.strike_refusals = 10**9
    policy.save()
    owner = User.objects.create_user("bench@example.com")
    _, admitted = api_keys.issue(owner, name="admitted", tier=None, **NEVER_REACHED)
    _, refused = api_keys.issue(owner, name="refused", tier=None, **{**NEVER_REACHED, "minute_override": 1})
    key, blocked = api_keys.issue(owner, name="blocked", tier=None, **NEVER_REACHED)
    subject, now = key_subject_id(key.pk), timezone.now()
    # The limit store is empty: it learns of the block from here.
    EscalationState.objects.create(
        subject=subject,
        bucket=bucket_of(subject),
        key=key,
        escalation=4,
        until=now + timedelta(days=1),
        version=1,
        changed_at=now,
    )
    print(json.dumps({"admitted": admitted, "refused": refused, "blocked": blocked}))


if __name__ == "__main__":
    main()
