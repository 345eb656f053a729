"""A field for more than one line of text."""

from typing import Any

from django import forms


class Lines(forms.CharField):
    """A text area whose lines end in one character, as the person who counts them sees them."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return text.replace("\r\n", "\n") if isinstance(text, str) else text
