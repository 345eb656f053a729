"""Mail is owed here and sent elsewhere: a row, written in the transaction that gives cause for it."""

from typing import Any

from accounts.models import ApiKey
from usage.models import Notice


def owe(kind: Notice.Kind, key: ApiKey, once: str, facts: dict[str, Any]) -> None:
    """Owe the key's owner an email about something that happens in the caller's transaction.

    `once` names the occasion, as in `quota_near:17:2026-03-01`: a second notice of the same occasion is left
    out. `facts` are what the email tells, as plain JSON values (templates/usage/mail lists them by kind). The
    quota's emails aren't owed to whoever switched them off.
    """
    if kind in Notice.QUOTA_KINDS and not key.owner.wants_quota_emails:
        return
    # ON CONFLICT DO NOTHING: on PostgreSQL an IntegrityError would end the caller's transaction.
    Notice.objects.bulk_create([Notice(kind=kind, key=key, once=once, facts=facts)], ignore_conflicts=True)
