"""News for the apps above, which this one doesn't know."""

from django.dispatch import Signal

# Sent in the transaction of an action on a key. `sender` is ApiKey; `key`; `action` is one of the below;
# `facts` are plain JSON values about it.
key_changed = Signal()

CREATED = "created"  # facts: {}
ROTATED = "rotated"  # facts: {"old_start": "koala_…", "retires_at": ISO time}

# Sent in the transaction that deletes an account, while all of it is still there. `sender` is User; `user`.
# Who keeps anything of the account forgets it here, in a few statements however much it is.
account_closing = Signal()
