"""What allauth asks us about second factors: how secrets are kept, what things are called, what must stay."""

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator

from accounts.account.two_factor import staff_rule
from accounts.models import User
from accounts.sealing import seal, unseal

_PURPOSE = "koalapanel: secrets of second factors"


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "This code is not right. Take the one that is shown now, and use each code once.",
        "incorrect_key": "This security key did not answer as it should. Try again, or use another one.",
        "broken_seal": (
            "Codes of this account can't be checked any more, because this panel has a new secret key. "
            "Ask the people who run it to reset your two-factor authentication."
        ),
        "too_many_codes": "Too many wrong codes. Wait an hour, then take a new one.",
        "cannot_delete_authenticator": (
            "Accounts of the staff must have a second factor. Add another one first, then remove this one."
        ),
        "too_many_keys": "An account can have 20 security keys. Remove one that you no longer use.",
        "unverified_email": "Verify your email address first: a link for that is in your mail.",
    }

    def encrypt(self, text: str) -> str:
        return seal(_PURPOSE, text)

    def decrypt(self, encrypted_text: str) -> str:
        """Raises `accounts.sealing.BrokenSeal`.

        Never an empty or a fixed text instead: codes are computed from what this gives, so anybody could
        compute them, too.
        """
        return unseal(_PURPOSE, encrypted_text)

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        return not staff_rule.needs(authenticator)

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        number = Authenticator.objects.filter(user_id=user.pk, type=type).count() + 1
        return "Security key" if number == 1 else f"Security key {number}"
