"""Keeps addresses whole: allauth's forms take longer ones than an account can have, and some cut them."""

from typing import Any

from django import forms
from django.core.validators import MaxLengthValidator

from accounts.models import User


class WholeAddresses:
    """Goes before a form of allauth's. A cut address is nobody's or somebody else's: too long is an error."""

    fields: dict[str, forms.Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field, forms.EmailField):
                _bound(field)


def _bound(field: forms.EmailField) -> None:
    field.max_length = User._meta.get_field("email").max_length
    # The field made its own validator and attribute for Django's 320 characters when it was declared.
    field.validators = [known for known in field.validators if not isinstance(known, MaxLengthValidator)]
    field.validators.append(MaxLengthValidator(field.max_length or 0))
    # With it the browser would cut what is pasted, and say nothing.
    field.widget.attrs.pop("maxlength", None)
