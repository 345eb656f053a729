"""The one question to whoever asks for a reactivation."""

from django import forms
from django.core.validators import MaxLengthValidator

from accounts.lines import Lines

LONGEST_NOTE = 2_000


class AskForm(forms.Form):
    note = Lines(
        label="What did you change?",
        help_text=f"At most {LONGEST_NOTE:,} characters. Never send a whole key; its start is enough.",
        widget=forms.Textarea(attrs={"rows": 5}),
        # Not max_length: with it the browser would cut what is pasted, and say nothing.
        validators=[
            MaxLengthValidator(
                LONGEST_NOTE,
                f"At most {LONGEST_NOTE:,} characters fit here; these are %(show_value)d. Shorten it.",
            )
        ],
        error_messages={"required": "Say what you have changed: it is what staff decide by."},
    )
