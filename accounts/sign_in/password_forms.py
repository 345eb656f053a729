"""The two forms of a forgotten password: ask for the link, and set a new one by it. Both are allauth's."""

from allauth.account.forms import ResetPasswordForm, ResetPasswordKeyForm

from accounts.models import User
from accounts.sign_in.address_field import WholeAddresses


class ForgottenPasswordForm(WholeAddresses, ResetPasswordForm):  # type: ignore[misc]
    def clean_email(self) -> str:
        """The link goes to the address of an account, never to one that it is only being changed to."""
        email: str = self.cleaned_data["email"]
        self.users = list(User.objects.filter(email=email, is_active=True))
        return email


class NewPasswordForm(ResetPasswordKeyForm):  # type: ignore[misc]
    def save(self) -> None:
        """Whoever opens the link reads the mail of that address, so it is verified, too."""
        super().save()
        self.user.vouch_for_address()
