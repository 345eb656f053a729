"""What a password has to be, in one sentence: Django's validators say it in a list of four."""

from typing import Any

from django import forms

# AUTH_PASSWORD_VALIDATORS in the settings checks it.
RULES = "10 characters or more. Not only digits, not a common password, and nothing like your address."


class TellsTheRules:
    """Goes before a form of allauth's in which a password is chosen."""

    fields: dict[str, forms.Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].help_text = RULES
