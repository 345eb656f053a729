"""`manage.py key_status KEY_OR_START`: how a key stands, as JSON."""

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts import api_keys
from accounts.management.panel_command import PanelCommand
from accounts.models import ApiKey
from usage.standing import Standing, standing_of_key


class Command(PanelCommand):
    help = "Print a key's status, tier, limits in force, usage now and escalation as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", metavar="KEY_OR_START", help="the key's text, or its visible start")

    def handle(self, *args: Any, key: str, **options: Any) -> None:
        found = _find(key)
        self.stdout.write(json.dumps(described(found, standing_of_key(found)), indent=2))


def _find(text: str) -> ApiKey:
    if api_keys.is_well_formed(text):
        matches = [key for key in [api_keys.find(text)] if key is not None]
    else:
        matches = list(ApiKey.objects.started_with(text).select_related("tier", "owner"))
    if not matches:
        raise CommandError("No such key. Give its whole text, or its start as the pages show it (koala_…).")
    if len(matches) > 1:
        raise CommandError(f"{len(matches)} keys start like this. Give the key's whole text.")
    return matches[0]


def described(key: ApiKey, standing: Standing) -> dict[str, Any]:
    """The standing as plain values. `usage` is `null` while the limit store can't be asked."""
    return {
        "key": key.start,
        "name": key.name,
        "owner": key.owner.email,
        "status": "expired" if key.status == ApiKey.Status.ACTIVE and key.has_expired else key.status,
        "tier": key.tier.slug,
        "limits": key.limits._asdict(),
        "overrides": sorted(key.overrides),
        "usage": {quota.kind: quota.used for quota in standing.quotas} if standing.live else None,
        "hits_24h": standing.hits.total,
        "escalation": standing.footing.as_plain_values(),
    }
