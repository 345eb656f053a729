"""What a person may choose on the consent page."""

from typing import Any

from allauth.account.models import EmailAddress
from django import forms

from accounts.models import User


class ConsentForm(forms.Form):
    """The address a service gets, for whoever has verified several; else nothing but the two buttons."""

    email = forms.ChoiceField(label="Email address it gets", widget=forms.Select)

    def __init__(self, *args: Any, user: User, scopes: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        verified = EmailAddress.objects.filter(user=user, verified=True).order_by("-primary", "email")
        addresses = list(verified.values_list("email", flat=True))
        if "email" in scopes and len(addresses) > 1:
            self.fields["email"].choices = [(one, one) for one in addresses]  # type: ignore[attr-defined]
        else:
            del self.fields["email"]
