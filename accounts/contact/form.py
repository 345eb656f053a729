"""The contact form: what a person may write to us, and what is wrong with it, said at the field."""

import re
from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.core.exceptions import ValidationError

from accounts.lines import Lines
from accounts.models import ContactMessage

LONGEST_SUBJECT = 150
LONGEST_TEXT = 5_000

_MORE_THAN_A_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class ContactForm(forms.Form):
    email = forms.EmailField(
        label="Your email address",
        max_length=254,
        help_text="The answer goes there.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        error_messages={
            "required": "We need an address to answer to.",
            "invalid": "This is no email address. One looks like name@example.com.",
            "max_length": "An email address has at most %(limit_value)d characters; this has %(show_value)d.",
        },
    )
    subject = forms.CharField(
        max_length=LONGEST_SUBJECT,
        error_messages={
            "required": "Say in a few words what it is about.",
            "max_length": "At most %(limit_value)d characters fit here; these are %(show_value)d. "
            "The message has room for more.",
        },
    )
    text = Lines(
        label="Message",
        max_length=LONGEST_TEXT,
        widget=forms.Textarea(attrs={"rows": 9}),
        help_text=f"At most {LONGEST_TEXT:,} characters. Never send a whole key; its start is enough.",
        error_messages={
            "required": "The message is empty.",
            "max_length": f"At most {LONGEST_TEXT:,} characters fit here; these are %(show_value)d. "
            "Take something out, or send it in two messages.",
        },
    )
    # People don't see it; programs that fill in whatever they find do.
    homepage = forms.CharField(
        required=False, widget=forms.TextInput(attrs={"tabindex": "-1", "autocomplete": "off"})
    )
    form_id = forms.Field(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            # With it the browser would cut what is pasted, and say nothing.
            field.widget.attrs.pop("maxlength", None)

    def clean_subject(self) -> str:
        subject: str = self.cleaned_data["subject"]
        if _MORE_THAN_A_LINE.search(subject):
            raise ValidationError("The subject is one line: take out the line breaks.")
        return subject

    def clean_form_id(self) -> UUID:
        """Made by us. Whatever else was sent can't be the same form a second time."""
        try:
            return UUID(str(self.cleaned_data["form_id"]))
        except ValueError:
            return uuid4()

    def message(self) -> ContactMessage:
        """The message of a valid form, not saved yet."""
        told = self.cleaned_data
        return ContactMessage(
            email=told["email"],
            subject=told["subject"],
            text=told["text"],
            is_spam=bool(told["homepage"]),
            form_id=told["form_id"],
        )
