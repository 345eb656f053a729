"""The sign-up form: allauth's, which answers the same whether or not the address has an account."""

from allauth.account.forms import SignupForm
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse

from accounts.models import User
from accounts.sign_in.adapter import ADDRESS_TO_VERIFY
from accounts.sign_in.address_field import WholeAddresses
from accounts.sign_in.password_rules import TellsTheRules


class SignUpForm(WholeAddresses, TellsTheRules, SignupForm):  # type: ignore[misc]
    def validate_unique_email(self, value: str) -> str:
        """Taken is what an account has. What one is only being changed to would keep its owner out."""
        self.account_already_exists = User.objects.filter(email=value).exists()
        return value

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """The new account, or the answer to who gave a taken address: as if it were new, and as late."""
        request.session[ADDRESS_TO_VERIFY] = self.cleaned_data["email"]
        if self.account_already_exists:
            make_password(self.cleaned_data["password1"])
        else:
            try:
                return super().try_save(request)  # type: ignore[no-any-return]
            except IntegrityError:
                # The same form, sent twice at once.
                self.account_already_exists = True
        return super().try_save(request)  # type: ignore[no-any-return]
