"""Django's admin for accounts, tiers and keys."""

from accounts.admin import api_keys, tiers, users

__all__ = ["api_keys", "tiers", "users"]
