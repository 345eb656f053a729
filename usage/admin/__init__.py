"""Django's admin for the ladder, what it did, what was refused and used, and the mail that is owed."""

from usage.admin import api_keys, history, ladder, mail, places, used

__all__ = ["api_keys", "history", "ladder", "mail", "places", "used"]
