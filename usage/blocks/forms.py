"""The one question to whoever asks for a reactivation."""

from typing import Any

from django import forms
from django.core.validators import MaxLengthValidator

LONGEST_NOTE = 2_000


class Lines(forms.CharField):
    """A text area whose lines end in one character, as the person who counts them sees them."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return text.replace("\r\n", "\n") if isinstance(text, str) else text


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
