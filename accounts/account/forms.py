"""The account page's forms."""

from typing import Any

from django import forms

from accounts.models import User


class ProfileForm(forms.ModelForm[User]):
    class Meta:
        model = User
        fields = ("name",)
        labels = {"name": "Name"}
        help_texts = {"name": "As pages and the people who run this panel see it. It may stay empty."}
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "name"})}

    def clean_name(self) -> str:
        """In one line, whatever was pasted."""
        return " ".join(self.cleaned_data["name"].split())


class NotificationsForm(forms.ModelForm[User]):
    class Meta:
        model = User
        fields = ("wants_quota_emails",)
        labels = {"wants_quota_emails": "Mail me at 80 % and 100 % of a key's daily quota"}
        help_texts = {
            "wants_quota_emails": (
                "At most one of each a day. Mail about blocks and suspensions is always sent: "
                "it says what to do before a key stops for good."
            )
        }


class DeleteForm(forms.Form):
    """Typing the address is the pause in which a slip is noticed; who it is was asked before."""

    email = forms.CharField(
        label="Your email address, to be sure",
        max_length=254,
        widget=forms.EmailInput(
            attrs={"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
        ),
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if email.strip().casefold() != self.user.email.casefold():
            raise forms.ValidationError(
                f"This is not the address of this account, which is {self.user.email}."
            )
        return email
