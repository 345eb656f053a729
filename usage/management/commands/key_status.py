"""`manage.py key_status KEY_OR_START`: how a key stands, as JSON."""

import json
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from accounts.management.key_argument import add_key_argument, find_key
from accounts.management.panel_command import PanelCommand
from accounts.models import ApiKey
from usage.standing import Standing, standing_of_key


class Command(PanelCommand):
    help = "Print a key's status, tier, secrets, limits in force, usage now and escalation as JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_key_argument(parser)

    def handle(self, *args: Any, key: str, **options: Any) -> None:
        found = find_key(key)
        self.stdout.write(json.dumps(described(found, standing_of_key(found)), indent=2))


def described(key: ApiKey, standing: Standing) -> dict[str, Any]:
    """The standing as plain values. `usage` is `null` while the limit store can't be asked.

    `secrets` are all that the key had, the newest first; when one was last used is known to the minute, and
    within two minutes.
    """
    return {
        "key": key.start,
        "name": key.name,
        "owner": key.owner.email,
        "status": "expired" if key.status == ApiKey.Status.ACTIVE and key.has_expired else key.status,
        "tier": key.tier.slug,
        "rehearsal": key.is_rehearsal,
        "secrets": [
            {
                "start": secret.start,
                "retires_at": _iso(secret.retires_at),
                "last_used_at": _iso(secret.last_used_at),
            }
            for secret in key.secrets.all()
        ],
        "limits": key.limits._asdict(),
        "overrides": sorted(key.overrides),
        "usage": {quota.kind: quota.used for quota in standing.quotas} if standing.live else None,
        "hits_24h": standing.hits.total,
        "escalation": standing.footing.as_plain_values(),
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
