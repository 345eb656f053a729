"""Django's admin for accounts and roles, tiers, keys, limits, messages, letters, and the audit log."""

from accounts.admin import (
    api_keys,
    audit_entries,
    contact_messages,
    endpoint_limits,
    groups,
    letters,
    tiers,
    users,
)

__all__ = [
    "api_keys",
    "audit_entries",
    "contact_messages",
    "endpoint_limits",
    "groups",
    "letters",
    "tiers",
    "users",
]
