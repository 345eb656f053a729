"""The form that asks for another address: allauth's. The old one stays until the new one is verified."""

from typing import Any

from allauth.account.forms import AddEmailForm
from allauth.account.internal.flows.email_verification import send_verification_email_to_address
from django.db import transaction
from django.http import HttpRequest

from accounts.models import User
from accounts.sign_in.address_field import WholeAddresses


class ChangeAddressForm(WholeAddresses, AddEmailForm):  # type: ignore[misc]
    user: User

    def clean_email(self) -> str:
        """It doesn't tell whether another account has the address: only a letter to it does."""
        email: str = self.cleaned_data["email"]
        if email == self.user.email:
            self.add_error("email", "This is the address that you have.")
        return email

    def save(self, request: HttpRequest) -> Any:
        """The address to be verified, allauth's EmailAddress; one that was asked for before is dropped."""
        with transaction.atomic():
            wanted = self.user.emailaddress_set.filter(verified=False).exclude(email=self.user.email)
            wanted.exclude(email=self.cleaned_data["email"]).delete()
            address, _ = self.user.emailaddress_set.get_or_create(email=self.cleaned_data["email"])
        send_verification_email_to_address(request, address)
        return address
