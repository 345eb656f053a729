"""The forms in which a password is forgotten, set or changed: allauth's."""

from allauth.account.forms import ChangePasswordForm, ResetPasswordForm, ResetPasswordKeyForm, SetPasswordForm

from accounts.models import User
from accounts.sign_in.address_field import WholeAddresses
from accounts.sign_in.password_rules import TellsTheRules


class ForgottenPasswordForm(WholeAddresses, ResetPasswordForm):  # type: ignore[misc]
    def clean_email(self) -> str:
        """The link goes to the address of an account, never to one that it is only being changed to."""
        email: str = self.cleaned_data["email"]
        self.users = list(User.objects.filter(email=email, is_active=True))
        return email


class NewPasswordForm(TellsTheRules, ResetPasswordKeyForm):  # type: ignore[misc]
    """By the link that was sent."""

    def save(self) -> None:
        """Whoever opens the link reads the mail of that address, so it is verified, too."""
        super().save()
        self.user.vouch_for_address()


class ChangedPasswordForm(TellsTheRules, ChangePasswordForm):  # type: ignore[misc]
    pass


class FirstPasswordForm(TellsTheRules, SetPasswordForm):  # type: ignore[misc]
    """For an account that has none."""
