"""Django's admin for accounts and roles, tiers, keys, limits, services, mail, and the audit log."""

from accounts.admin import (
    api_keys,
    audit_entries,
    clients,
    contact_messages,
    endpoint_limits,
    groups,
    letters,
    sign_in,
    tiers,
    users,
)

__all__ = [
    "api_keys",
    "audit_entries",
    "clients",
    "contact_messages",
    "endpoint_limits",
    "groups",
    "letters",
    "sign_in",
    "tiers",
    "users",
]
