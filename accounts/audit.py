"""Writes the audit log: every action of staff, and every action on a key, in the action's own transaction."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Model

from accounts.models import AuditEntry, User

# Whoever may run commands at the machine itself needs no account.
COMMAND_LINE = "command line"


def record(
    action: str,
    target: Model,
    *,
    by: User | None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> AuditEntry:
    """Note that `by` (`None`: a command) did `action` to `target`, for `reason`.

    `action` is a verb in the past as pages show it (`rotated`, `changed limits`). `before` and `after` hold
    what changed, by field, as plain JSON values; never a secret. `target` is as the action left it.
    """
    return AuditEntry.objects.create(
        actor=by,
        actor_label=COMMAND_LINE if by is None else by.email,
        action=action,
        target_type=target._meta.label_lower,
        target_id=str(target.pk),
        target_label=str(target)[:254],
        before=dict(before or {}),
        after=dict(after or {}),
        reason=reason,
        revision=getattr(target, "revision", None),
    )
