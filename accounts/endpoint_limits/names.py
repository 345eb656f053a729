"""Which endpoint limits there are, and what happens to each while nobody can count.

A name is what code, rows (`accounts.EndpointLimit`), refusals and the books have. A new one is a new name
here, a row by a migration, and `limited` or `charge` where it holds.
"""

from typing import Literal, get_args

Name = Literal[
    "entitlements",  # GET …/entitlements/me
    "contact",  # the contact form
    "login",  # a password or a second factor that is tried
    "password_reset",  # asking for a new password
    "oidc_authorize",  # signing in to another service with an account of ours
    "key_validation",  # POST …/keys/validate, and every request that presents a key we don't know
    "download",  # GET …/downloads/{token}
]
NAMES: tuple[Name, ...] = get_args(Name)

# While the cache is away these are refused: without a count a password could be guessed, and anybody could
# have us send mail by the thousand. The others go on: what they guard can't be guessed (a key has 190 bits, a
# download's address a signature) or takes a session, and their limits only spread load.
REFUSED_WITHOUT_A_COUNT: frozenset[Name] = frozenset({"login", "password_reset", "contact"})
